// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// repository is the root of the working tree.
var repository = filepath.Join("..", "..")

// kubectl runs the real kubectl, as a user would, and returns what it prints.
func kubectl(stdin string, args ...string) string {
	GinkgoHelper()
	out, err := tryKubectl(stdin, args...)
	Expect(err).NotTo(HaveOccurred(), out)
	return out
}

func tryKubectl(stdin string, args ...string) (string, error) {
	cmd := exec.Command(filepath.Join(repository, "bin", "kubectl"), args...)
	cmd.Stdin = strings.NewReader(stdin)
	return run(cmd)
}

// cluster runs the command that manages the development cluster.
func cluster(command, component string) {
	GinkgoHelper()
	Expect(tryCluster(command, component)).To(Succeed())
}

func tryCluster(command, component string) error {
	cmd := exec.Command("go", "run", "-C", filepath.Join(repository, "hack", "cluster"), "./cmd/cluster",
		command, "--name", os.Getenv(clusterVariable), component)
	if out, err := run(cmd); err != nil {
		return fmt.Errorf("cluster %s %s: %w: %s", command, component, err, out)
	}
	return nil
}

func run(cmd *exec.Cmd) (string, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}
