// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/test/fixtures"
	"github.com/sifscan/sifscan-operator/test/fixtures/live"
)

// apptainerVariable names the image of test/apptainer-double, which hack/e2e.sh makes.
const apptainerVariable = "SIFSCAN_E2E_APPTAINER"

// imagesPoint is where a slurmd pod has the images, nodeUser starts containers of them.
const (
	imagesPoint = "/shared/containers"
	nodeUser    = 4242
)

// slurmdLabels are some of those that slurm-operator gives the pods of a NodeSet.
func slurmdLabels(cluster string) map[string]string {
	return map[string]string{"app.kubernetes.io/name": "slurmd", "app.kubernetes.io/instance": "gpu",
		"app.kubernetes.io/component": "worker", "slinky.slurm.net/cluster": cluster}
}

// slurmd is a pod in which users run containers, as slurm-operator makes them: privileged, without the node's processes.
type slurmd struct {
	*corev1.Pod
	// dir holds the images.
	dir string
}

// newSlurmd makes a pod whose every container runs one call of the double. The namespace is of its own: only there may pods
// be privileged.
func newSlurmd(with func(*fixtures.Tree), calls map[string][]string) *slurmd {
	GinkgoHelper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "slurm-", Labels: map[string]string{
		"pod-security.kubernetes.io/enforce": "privileged",
	}}}
	createNamespace(ns)
	DeferCleanup(func() { Expect(admin.Delete(ctx, ns)).To(Succeed()) })
	dir, err := os.MkdirTemp("", "sifscan-e2e-slurmd-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(os.RemoveAll, dir)
	Expect(os.Chmod(dir, 0o755)).To(Succeed())
	makeLiveImages(dir, with)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "gpu-0", Labels: slurmdLabels(ns.Name)},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken:  ptr.To(false),
			EnableServiceLinks:            ptr.To(false),
			RestartPolicy:                 corev1.RestartPolicyNever,
			TerminationGracePeriodSeconds: ptr.To[int64](5),
			PriorityClassName:             "system-node-critical", // kubelet evicts it from no full disk
			Volumes: []corev1.Volume{
				// The helpers that serve file systems, and their libraries, are the machine's.
				hostPath("usr", "/usr"), hostPath("lib", "/usr/lib"), hostPath("lib64", "/usr/lib64"),
				hostPath("images", dir),
				{Name: "state", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			},
		},
	}
	for name, args := range calls {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{
			Name: name, Image: os.Getenv(apptainerVariable), ImagePullPolicy: corev1.PullNever,
			Command:         append([]string{"/apptainer-double"}, args...),
			Env:             []corev1.EnvVar{{Name: "SLURM_JOB_ID", Value: "1"}}, // what users say is not believed
			SecurityContext: &corev1.SecurityContext{Privileged: ptr.To(true), RunAsUser: ptr.To[int64](0)},
			VolumeMounts: []corev1.VolumeMount{
				{Name: "usr", MountPath: "/usr", ReadOnly: true}, {Name: "lib", MountPath: "/lib", ReadOnly: true},
				{Name: "lib64", MountPath: "/lib64", ReadOnly: true},
				{Name: "images", MountPath: imagesPoint}, {Name: "state", MountPath: "/run", SubPath: name},
			},
		})
	}
	Expect(admin.Create(ctx, pod)).To(Succeed())
	s := &slurmd{pod, dir}
	s.awaitContainers()
	return s
}

func hostPath(name, path string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}}}
}

// makeLiveImages makes images whose containers can run something.
func makeLiveImages(dir string, with func(*fixtures.Tree)) {
	GinkgoHelper()
	tree, squashfs := filepath.Join(dir, "sandbox"), filepath.Join(dir, "plain.sqsh")
	Expect(fixtures.NewTree(tree).With(fixtures.Debian).With(live.Program).Dir(".singularity.d").With(with).Done()).To(Succeed())
	Expect(fixtures.NewTree(filepath.Join(dir, "home")).With(fixtures.Node).Done()).To(Succeed())
	Expect(fixtures.Squashfs{}.Make(tree, squashfs)).To(Succeed())
	for _, name := range []string{"science.sif", "private/secret.sif"} {
		path := filepath.Join(dir, name)
		Expect(os.MkdirAll(filepath.Dir(path), 0o700)).To(Succeed())
		Expect(fixtures.NewSIF("amd64").System(squashfs).Definition(name).Write(path)).To(Succeed())
	}
	private := filepath.Join(dir, "private")
	Expect(os.Chmod(dir, 0o755)).To(Succeed())
	Expect(os.Chmod(private+"/secret.sif", 0o600)).To(Succeed())
	Expect(os.Chown(private+"/secret.sif", nodeUser, nodeUser)).To(Succeed())
	Expect(os.Chown(private, nodeUser, nodeUser)).To(Succeed())
}

// apptainer is a command line of the double.
func apptainer(kind string, flags []string, image string, rest ...string) []string {
	line := append([]string{kind, "--user=" + strconv.Itoa(nodeUser)}, flags...)
	return append(append(line, imagesPoint+"/"+image), rest...)
}

// execOf runs a command that sleeps in a container.
func execOf(image string, flags ...string) []string {
	return apptainer("exec", flags, image, live.Sleep, "infinity")
}

// slurmCgroup is where slurmstepd puts the tasks of a step, within the pod.
func slurmCgroup(job, step string) string {
	if _, err := os.Stat("/sys/fs/cgroup/freezer"); err == nil {
		return fmt.Sprintf("--cgroup=/sys/fs/cgroup/freezer/slurm_gpu-0/uid_%d/job_%s/step_%s", nodeUser, job, step)
	}
	return fmt.Sprintf("--cgroup=/sys/fs/cgroup/system.slice/slurmstepd.scope/job_%s/step_%s/user", job, step)
}

// awaitContainers waits until every call says that its containers run.
func (s *slurmd) awaitContainers() {
	GinkgoHelper()
	for _, c := range s.Spec.Containers {
		Eventually(func() (string, error) {
			return tryKubectl("", "-n", s.Namespace, "logs", s.Name, "-c", c.Name)
		}).WithTimeout(time.Minute).Should(ContainSubstring(`"command":`), "container %s", c.Name)
	}
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(s.Pod), s.Pod)).To(Succeed())
}
