// Command cluster runs one-node Kubernetes clusters for development and tests on this machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/sifscan/sifscan-operator/hack/cluster/cluster"
)

const usage = `usage: cluster COMMAND [--name dev] [--repo DIR] [ARGUMENT…]

  up          start the cluster or what is missing of it; the last line of output is for the shell
  down        end the cluster and remove everything that belongs to it
  status      show its components; fails if it is not fit for use
  kubeconfig  print the path of the administrator's kubeconfig file
  kube-build  build etcd, kube-apiserver, kubectl and the others, and print their folder (for KUBEBUILDER_ASSETS)
  load        import OCI archives (arguments) into the node, unless it has the same images already
  stop        end one component (argument) in order and wait for it
  kill        end one component (argument) with SIGKILL
  pause       have one component (argument) stand still, with SIGSTOP
  resume      have it go on
  start       start one component (argument) again
`

// options are the flags of all commands, and the arguments of those that take some.
type options struct {
	name, repo string
	arguments  []string
}

// command is what one word on the command line does.
type command struct {
	run  func(context.Context, options) error
	root bool // it needs root and Linux
	// least and most bound the number of its arguments.
	least, most int
}

// many is more archives than anybody has.
const many = 100

var commands = map[string]command{
	"up":         {run: up, root: true},
	"down":       {run: down, root: true},
	"status":     {run: status, root: true},
	"kubeconfig": {run: kubeconfig},
	"kube-build": {run: kubeBuild},
	"load":       {run: load, root: true, least: 1, most: many},
	"stop":       {run: stop, root: true, least: 1, most: 1},
	"kill":       {run: kill, root: true, least: 1, most: 1},
	"pause":      {run: pause, root: true, least: 1, most: 1},
	"resume":     {run: resume, root: true, least: 1, most: 1},
	"start":      {run: start, root: true, least: 1, most: 1},
}

var errUsage = errors.New("usage")

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	err := run(ctx, os.Args[1:])
	switch {
	case errors.Is(err, errUsage):
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	case err != nil:
		fmt.Fprintf(os.Stderr, "cluster: %v\n", err)
		os.Exit(1)
	}
}

// run parses the arguments and runs the command.
func run(ctx context.Context, arguments []string) error {
	if len(arguments) == 0 {
		return errUsage
	}
	chosen, found := commands[arguments[0]]
	if !found {
		return errUsage
	}
	var o options
	flags := flag.NewFlagSet(arguments[0], flag.ContinueOnError)
	flags.Usage = func() {}
	flags.StringVar(&o.name, "name", "dev", "")
	flags.StringVar(&o.repo, "repo", "", "")
	if flags.Parse(arguments[1:]) != nil {
		return errUsage
	}
	if flags.NArg() < chosen.least || flags.NArg() > chosen.most {
		return errUsage
	}
	o.arguments = flags.Args()
	if chosen.root {
		if err := checkMachine(runtime.GOOS, os.Geteuid()); err != nil {
			return err
		}
	}
	return chosen.run(ctx, o)
}

// checkMachine tells what is needed, and what to do without it.
func checkMachine(system string, user int) error {
	var missing string
	switch {
	case system != "linux":
		missing = "this machine runs " + system
	case user != 0:
		missing = "you are not root"
	default:
		return nil
	}
	return fmt.Errorf(`%s.
The development cluster runs a real kubelet: it needs Linux (Debian 12 or later) and root.
To use a cluster that you have instead: export KUBECONFIG=/path/to/its/kubeconfig && make deploy`, missing)
}

func up(ctx context.Context, o options) error {
	repo, err := checkout(o.repo)
	if err != nil {
		return err
	}
	path, err := cluster.Up(ctx, o.name, repo, say)
	if err != nil {
		return err
	}
	say("cluster %s is up", o.name)
	fmt.Printf("export KUBECONFIG=%s\n", path)
	return nil
}

func down(ctx context.Context, o options) error { return cluster.Down(ctx, o.name, say) }

func status(ctx context.Context, o options) error { return cluster.Status(ctx, o.name, say) }

func kubeconfig(_ context.Context, o options) error {
	path, err := cluster.Kubeconfig(o.name)
	if err != nil {
		return err
	}
	fmt.Println(path)
	return nil
}

func kubeBuild(ctx context.Context, o options) error {
	repo, err := checkout(o.repo)
	if err != nil {
		return err
	}
	path, err := cluster.BuildKube(ctx, repo, say)
	if err != nil {
		return err
	}
	fmt.Println(path)
	return nil
}

func load(ctx context.Context, o options) error {
	repo, err := checkout(o.repo)
	if err != nil {
		return err
	}
	return cluster.Load(ctx, o.name, repo, o.arguments, say)
}

func stop(ctx context.Context, o options) error   { return cluster.Stop(ctx, o.name, o.arguments[0]) }
func kill(ctx context.Context, o options) error   { return cluster.Kill(ctx, o.name, o.arguments[0]) }
func pause(ctx context.Context, o options) error  { return cluster.Pause(ctx, o.name, o.arguments[0]) }
func resume(ctx context.Context, o options) error { return cluster.Resume(ctx, o.name, o.arguments[0]) }
func start(ctx context.Context, o options) error  { return cluster.Start(ctx, o.name, o.arguments[0]) }

// checkout returns the folder of the repository: the one given, or the nearest above the working directory.
func checkout(given string) (string, error) {
	directory, err := filepath.Abs(given)
	if err != nil {
		return "", err
	}
	for ; ; directory = filepath.Dir(directory) {
		if _, err := os.Stat(filepath.Join(directory, "hack", "cluster", "kube", "go.mod")); err == nil {
			return directory, nil
		}
		if given != "" || directory == filepath.Dir(directory) {
			return "", errors.New("the sources of the cluster are not here: use --repo with the folder of the checkout")
		}
	}
}

// say writes to standard error: standard output is for other programs.
func say(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "cluster: "+format+"\n", arguments...)
}
