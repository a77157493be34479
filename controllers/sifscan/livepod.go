// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

const (
	openerContainer = "opener"
	openerVolume    = "opener"
	openerDir       = "/opener"
	openerSocket    = openerDir + "/opener.sock"
)

// Scanner and reporter run on nodes as users of their own: what they read comes through the opener, so no identity of a
// namespace is needed. In the node's PID namespace a process may signal whatever has its user, and read memory, environment and
// root of whatever has its user and group (ptrace(2)): of other pods, too, of which many run as 65532, and the scanner
// would read the reporter's token. Nobody gives the numbers 65520 to 65533 to users (systemd's UIDS-GIDS.md).
// The group is that of volumes' scanners, by which files of a database may be readable.
const (
	nodeScannerUser  = 65530
	nodeReporterUser = 65531
	nodeGroup        = 65532
)

// listBackoff is how many pods may die that list a node's containers.
const listBackoff = 2

// listDeadline is the longest that the list of a node's containers may take, besides what a pod may
// wait for its node. Discovery among thousands of processes takes seconds.
const listDeadline = 15 * time.Minute

// Limits on nodes, where users' jobs have the right of way. All requests are zero: what is not
// reserved cannot make a node full, and the kernel ends these pods first when memory is short.
var (
	listLimits = corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("500m"),
		corev1.ResourceMemory: resource.MustParse("256Mi"),
	}
	readCPU = resource.MustParse("1")
	// DefaultNodeMemory is the memory limit of a scanner that reads images.
	DefaultNodeMemory = resource.MustParse("2Gi")
)

// socketLimit is for a socket.
var socketLimit = resource.MustParse("1Mi")

// nodeWork is one Job's work on one node.
type nodeWork struct {
	// name of the Job.
	name string
	node string
	// worker is the node's position in the run's list of nodes.
	worker int32
	// pods are the UIDs of those that containers must be in to be shown; nil: no matter where.
	pods []string
	// keys of the images to read; nil: list only.
	keys []string
}

// nodeJob returns the Job of a node. It has no owner, which would have to be in its own namespace:
// the labels say whose it is.
func (in JobInputs) nodeJob(w nodeWork) *batchv1.Job {
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   in.Config.NodeScans.Namespace,
			Name:        w.name,
			Labels:      in.nodeLabels(w),
			Annotations: map[string]string{v1alpha1.AnnotationNode: w.node},
		},
		Spec: batchv1.JobSpec{
			BackoffLimit:          ptr.To[int32](listBackoff),
			ActiveDeadlineSeconds: ptr.To(int64(in.nodeJobDeadline(w).Seconds())),
			// Two pods of one worker would write one inventory.
			PodReplacementPolicy: ptr.To(batchv1.Failed),
			PodFailurePolicy:     podFailures(),
			Template:             in.nodePod(w),
		},
	}
	if len(w.keys) > 0 {
		job.Annotations[annotationImageKeys] = strings.Join(w.keys, ",")
		job.Spec.BackoffLimit = ptr.To[int32](backoffLimit)
	}
	return job
}

// longestTimeout counts of an image in a pod's deadline: with more, maxKeys of them would be longer than the 2^31-1 seconds
// that the API server takes for it.
const longestTimeout = 90 * 24 * time.Hour

// nodePodDeadline is the longest that a pod may take on its node.
func (in JobInputs) nodePodDeadline(w nodeWork) time.Duration {
	s := resolve(&in.Scan.Spec)
	return listDeadline + time.Duration(len(w.keys))*min(s.Timeout, longestTimeout)
}

// nodeJobDeadline is the longest that a Job may take, its pod's waiting included. A Job that reaches it loses its pod, and what that has to
// say: the pod's own deadline, which leaves it there, comes first.
func (in JobInputs) nodeJobDeadline(w nodeWork) time.Duration {
	return in.Config.pendingDeadline() + in.nodePodDeadline(w) + 2*gracePeriod*time.Second
}

func (in JobInputs) nodeLabels(w nodeWork) map[string]string {
	labels := in.labels()
	labels[v1alpha1.LabelScanNamespace] = in.Scan.Namespace
	labels[v1alpha1.LabelWorker] = strconv.Itoa(int(w.worker))
	return labels
}

// nodePod is split in three: the opener sees the node's processes and hands over descriptors of
// images, the scanner reads them and holds neither token nor capability, the reporter holds the token.
func (in JobInputs) nodePod(w nodeWork) corev1.PodTemplateSpec {
	config := in.Config.NodeScans
	parts := in.reading(w)
	tolerations, _ := config.tolerations(in.Scan.Spec.Scheduling.Tolerations) // refused before, if at all
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{
			Labels:      in.nodeLabels(w),
			Annotations: map[string]string{v1alpha1.AnnotationNode: w.node},
		},
		Spec: corev1.PodSpec{
			HostPID:                       true,
			RestartPolicy:                 corev1.RestartPolicyNever,
			ServiceAccountName:            nodeAccount(in.Scan.UID, in.Run),
			AutomountServiceAccountToken:  ptr.To(false),
			EnableServiceLinks:            ptr.To(false),
			TerminationGracePeriodSeconds: ptr.To[int64](gracePeriod),
			ActiveDeadlineSeconds:         ptr.To(int64(in.nodePodDeadline(w).Seconds())),
			SecurityContext: &corev1.PodSecurityContext{
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Affinity:          onNode(w.node),
			Tolerations:       tolerations,
			PriorityClassName: in.Config.PriorityClass,
			Volumes: append(parts.volumes, append(handover(), corev1.Volume{
				Name: openerVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &socketLimit}},
			})...),
			InitContainers: append(parts.before, in.opener(w), in.nodeReporter(w)),
			Containers:     []corev1.Container{in.nodeScanner(w, parts)},
		},
	}
}

// onNode leaves the scheduler one node to choose. spec.nodeName would go past it, and past every limit it keeps.
func onNode(node string) *corev1.Affinity {
	return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchFields: []corev1.NodeSelectorRequirement{{
				Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
			}},
		}}},
	}}
}

// reading is what a pod needs that reads images, and one that lists containers does not.
func (in JobInputs) reading(w nodeWork) part {
	if len(w.keys) == 0 {
		return part{}
	}
	p := join(in.engine(), in.tmp())
	for i := range p.before { // else they would run as whoever the engine's image names, root maybe
		p.before[i].SecurityContext = unprivileged(nodeScannerUser)
		p.before[i].Resources = unreserved(p.before[i].Resources.Limits)
	}
	return p
}

// opener is a native sidecar: kubelet starts it before the scanner. Processes of others are seen by
// root with SYS_PTRACE and DAC_READ_SEARCH, and by nobody with less: capabilities without uid 0 are
// lost when a pod's container starts.
func (in JobInputs) opener(w nodeWork) corev1.Container {
	config := in.Config.NodeScans
	security := containerSecurity()
	security.RunAsUser, security.RunAsGroup = ptr.To[int64](0), ptr.To[int64](0)
	security.Capabilities.Add = []corev1.Capability{"SYS_PTRACE", "DAC_READ_SEARCH"}
	security.AppArmorProfile = appArmor(config.AppArmorProfile)
	security.SELinuxOptions = config.SELinuxOptions.DeepCopy()
	args := []string{"opener", "--socket=" + openerSocket, "--peer-uid=" + strconv.Itoa(nodeScannerUser)}
	for _, uid := range w.pods {
		args = append(args, "--pod-uid="+uid)
	}
	return corev1.Container{
		Name:            openerContainer,
		Image:           in.Config.AgentImage,
		ImagePullPolicy: corev1.PullIfNotPresent,
		RestartPolicy:   ptr.To(corev1.ContainerRestartPolicyAlways),
		Args:            args,
		Env:             goEnv(listLimits),
		Resources:       unreserved(listLimits),
		SecurityContext: security,
		VolumeMounts:    []corev1.VolumeMount{{Name: openerVolume, MountPath: openerDir}},
	}
}

func appArmor(profile string) *corev1.AppArmorProfile {
	switch name, local := strings.CutPrefix(profile, appArmorLocalhost); {
	case local:
		return &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeLocalhost, LocalhostProfile: &name}
	case profile == appArmorUnconfined:
		return &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeUnconfined}
	}
	return nil
}

// unprivileged is the security of a node pod's other containers.
func unprivileged(user int64) *corev1.SecurityContext {
	security := containerSecurity()
	security.RunAsNonRoot = ptr.To(true)
	security.RunAsUser, security.RunAsGroup = ptr.To(user), ptr.To[int64](nodeGroup)
	return security
}

// nodeReporter writes into the SIFScan's namespace, not its own.
func (in JobInputs) nodeReporter(w nodeWork) corev1.Container {
	c := in.reporter()
	c.Args = append(c.Args, "--namespace="+in.Scan.Namespace, "--node-worker="+strconv.Itoa(int(w.worker)))
	c.Resources = unreserved(c.Resources.Limits)
	c.SecurityContext = unprivileged(nodeReporterUser)
	return c
}

// nodeScanner reads what the opener hands over.
func (in JobInputs) nodeScanner(w nodeWork, parts part) corev1.Container {
	limits := listLimits.DeepCopy()
	if len(w.keys) > 0 {
		limits[corev1.ResourceCPU], limits[corev1.ResourceMemory] = readCPU, in.Config.NodeScans.MemoryLimit
		if tmp := tmpOnNode(&in.Scan.Spec); !tmp.IsZero() {
			limits[corev1.ResourceEphemeralStorage] = diskOf(tmp)
		}
	}
	args := append([]string{"scan", "--opener=" + openerSocket, "--node=" + w.node}, in.running(w)...)
	args = append(args, parts.args...)
	return corev1.Container{
		Name:            scannerContainer,
		Image:           in.Config.AgentImage,
		ImagePullPolicy: corev1.PullIfNotPresent,
		Args:            append(args, "--results-dir="+resultsDir, "--results-limit="+resultsLimit.String(), "--state-dir="+stateDir, "--"),
		Env:             append(goEnv(limits), parts.env...),
		Resources:       unreserved(limits),
		SecurityContext: unprivileged(nodeScannerUser),
		VolumeMounts: append(parts.mounts,
			corev1.VolumeMount{Name: openerVolume, MountPath: openerDir, ReadOnly: true},
			corev1.VolumeMount{Name: resultsVolume, MountPath: resultsDir},
			corev1.VolumeMount{Name: stateVolume, MountPath: stateDir, ReadOnly: true}),
	}
}

// running says which containers of the node, and whether their images are read.
func (in JobInputs) running(w nodeWork) []string {
	t := in.Scan.Spec.Target.Running
	var args []string
	if len(w.keys) == 0 {
		args = append(args, "--list-only")
	}
	if t.PID != 0 {
		args = append(args, "--pid="+strconv.Itoa(int(t.PID)))
	}
	if t.ImagePattern != "" {
		args = append(args, "--image-pattern="+literal(t.ImagePattern))
	}
	if t.SlurmJobID != "" {
		args = append(args, "--slurm-job="+t.SlurmJobID)
	}
	for _, key := range w.keys {
		args = append(args, "--image-key="+key)
	}
	return args
}

// unreserved are limits without requests. Zeros are written out: where they are missing, the API
// server requests the limits.
func unreserved(limits corev1.ResourceList) corev1.ResourceRequirements {
	requests := corev1.ResourceList{}
	for name := range limits {
		requests[name] = resource.Quantity{}
	}
	return corev1.ResourceRequirements{Limits: limits.DeepCopy(), Requests: requests}
}
