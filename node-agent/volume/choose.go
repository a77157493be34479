package volume

import "slices"

// Choose returns the index of the volume that holds the absolute path p as users write it: of those whose mount path
// contains it, the one with the longest; -1 for none. A path that is relative means the only volume there is.
func Choose(roots []*Root, p string) int {
	if len(p) == 0 || p[0] != '/' {
		if len(roots) == 1 {
			return 0
		}
		return -1
	}
	best, longest := -1, -1
	names := components(p)
	for i, r := range roots {
		mount := components(r.mountPath)
		if len(mount) > longest && len(names) >= len(mount) && slices.Equal(names[:len(mount)], mount) {
			best, longest = i, len(mount)
		}
	}
	return best
}
