package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// hostSettings are the kernel's settings that kubelet changes for the whole machine when it starts, and never changes back
// (k8s.io/kubernetes/pkg/kubelet/cm, setupKernelTunables). They include what the machine does after a fault in the kernel.
var hostSettings = []string{
	"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
}

func hostFile() string { return filepath.Join(stateRoot, "host.json") }

func settingFile(name string) string { return filepath.Join("/proc/sys", name) }

// keepHostSettings remembers the settings as they were before the first cluster of the machine.
func keepHostSettings() error {
	if _, err := os.Stat(hostFile()); err == nil {
		return nil
	}
	settings := map[string]string{}
	for _, name := range hostSettings {
		value, err := os.ReadFile(settingFile(name))
		if err != nil {
			return err
		}
		settings[name] = string(value)
	}
	data, err := json.Marshal(settings)
	if err != nil {
		return err
	}
	return writeFile(hostFile(), data, 0o644)
}

// restoreHostSettings sets them back when the last cluster is gone.
func restoreHostSettings(ctx context.Context) error {
	unlock, err := lockDirectory(ctx, stateRoot)
	if err != nil {
		return err
	}
	defer unlock()
	if left, err := names(); err != nil || len(left) > 0 {
		return err
	}
	data, err := os.ReadFile(hostFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	settings := map[string]string{}
	if err := json.Unmarshal(data, &settings); err != nil {
		return err
	}
	for _, name := range hostSettings {
		if value, known := settings[name]; known {
			if err := os.WriteFile(settingFile(name), []byte(value), 0o644); err != nil {
				return err
			}
		}
	}
	return os.Remove(hostFile())
}
