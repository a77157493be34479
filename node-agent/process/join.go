// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"cmp"
	"maps"
	"slices"
)

// group is a container before it is described.
type group struct {
	starter *process // nil: gone
	session session
	members []*process // by start
	helpers []*process // of the starter, that serve its mounts
	user    int64      // of the first member
}

// groups joins processes with the sessions that they are in, by the root that both see.
func (t *table) groups() []*group {
	starters := t.starters()
	orphans := map[filesystem]*group{}
	var lost []*process // parents
	for _, p := range t.byStart() {
		root := p.view.root.filesystem()
		t.help(p, starters)
		switch made := starters[root]; {
		case root.device == "" || made.by[p] != nil:
		case len(made.groups) > 0:
			if g := t.begot(p, made); g != nil {
				t.join(g, p)
			} else {
				lost = append(lost, p)
			}
		case p.view.root.orphaned() && len(p.view.sessions) == 0:
			if orphans[root] == nil {
				orphans[root] = &group{session: session{final: p.view.root}}
			}
			t.join(orphans[root], p)
		}
	}
	for _, p := range lost {
		t.adopt(p, starters[p.view.root.filesystem()].groups)
	}
	all := slices.Collect(maps.Values(orphans))
	for _, made := range starters {
		all = append(all, made.groups...)
	}
	all = slices.DeleteFunc(all, func(g *group) bool { return len(g.members) == 0 })
	slices.SortFunc(all, func(a, b *group) int { return cmp.Compare(a.members[0].PID, b.members[0].PID) })
	return all
}

// makers are the starters of one root: their containers, oldest first, and by starter.
type makers struct {
	groups []*group
	by     map[*process]*group
}

// starters are the makers of all containers' roots. A starter's helpers see its mounts too: the starter is the one
// whose parent does not. One sandbox can be the root of several containers.
//
// Anybody may mount what he likes at …/apptainer/mnt/session/final in a namespace of his own. A root that is
// the first process's or the maker's own is no container's: handing it out would show the node.
func (t *table) starters() map[filesystem]makers {
	all := map[filesystem]makers{}
	var node filesystem
	if first := t.processes[1]; first != nil {
		node = first.view.root.filesystem()
	}
	for _, p := range t.byStart() {
		for _, s := range p.view.sessions {
			final := s.final.filesystem()
			if final == node || final == p.view.root.filesystem() {
				continue
			}
			if parent := t.processes[p.parent]; parent != nil && parent.sees(final) {
				continue
			}
			m := all[final]
			if m.by == nil {
				m.by = map[*process]*group{}
			}
			if m.by[p] == nil {
				m.by[p] = &group{starter: p, session: s}
				m.groups = append(m.groups, m.by[p])
			}
			all[final] = m
		}
	}
	return all
}

// sees tells whether the process has final among its sessions.
func (p *process) sees(final filesystem) bool {
	return slices.ContainsFunc(p.view.sessions, func(s session) bool { return s.final.filesystem() == final })
}

// help puts a process that sees a session with the starter that begot it.
func (t *table) help(p *process, starters map[filesystem]makers) {
	for _, s := range p.view.sessions {
		if g := t.begot(p, starters[s.final.filesystem()]); g != nil {
			g.helpers = append(g.helpers, p)
		}
	}
}

// byStart returns the processes, oldest first.
func (t *table) byStart() []*process {
	return slices.SortedFunc(maps.Values(t.processes), func(a, b *process) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.PID, b.PID))
	})
}

func (t *table) join(g *group, p *process) {
	if len(g.members) == 0 {
		g.user = t.user(p.PID)
	}
	g.members = append(g.members, p)
}

// begot returns the group of p's nearest ancestor that made its root; nil where none of them did.
func (t *table) begot(p *process, m makers) *group {
	// A number can be given again, which may close a circle: the way up is bounded.
	for range 4096 {
		parent := t.processes[p.parent]
		if parent == nil || parent == p {
			return nil
		}
		if g := m.by[parent]; g != nil {
			return g
		}
		p = parent
	}
	return nil
}

// adopt puts a process that lost its parents with a container of its user: who joins an instance, or goes on after a shell
// ended, has others. Those of other users merely have the same directory for a root, which whoever can reach it can arrange.
func (t *table) adopt(p *process, made []*group) {
	user := t.user(p.PID)
	for _, g := range made {
		if len(g.members) > 0 && user >= 0 && g.user == user {
			g.members = append(g.members, p)
			return
		}
	}
}

// user is the real user id of a process; -1 where it ended.
func (t *table) user(pid int) int64 {
	if text, err := t.of(pid, "status", maxSmall); err == nil {
		if user, ok := parseUser(text); ok {
			return user
		}
	}
	return -1
}
