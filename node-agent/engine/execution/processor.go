package execution

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// seat is where a program runs and is watched from: any processor, or one that both share.
//
// What is kept free for what a program writes between two looks (reserve) is written within milliseconds where its room is small,
// and a look is late by more where the processors are busy: the watcher waits behind others for one while the program has
// another. On one processor the program does not run either while the watcher waits for others, and of the two the watcher is
// next, for it has slept and the program gives way. With 20 processes waiting for two processors, 4 of 40 programs with room for
// 50 MiB went beyond it, up to 101 MiB. Of 100 whose looks are due by what they took of the processor, which stand still
// meanwhile, and which share a processor with their watcher, one did (50.7 MiB); of 60 that give way to it, too, none passed
// 45.2 MiB, where 44 is what they are stopped at. A lower priority alone did not help (70 MiB).
type seat struct {
	shared   bool
	one, all unix.CPUSet
}

// giveWay has a process group take a tenth of the processor beside this process.
func giveWay(group int) {
	if own, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil {
		_ = unix.Setpriority(unix.PRIO_PGRP, group, min(20-own+10, 19)) // the system call tells 20 less the nice value
	}
}

// seat shares a processor where there is little room. It is no error where a process may not be bound to one.
func (c Command) seat() (s seat) {
	if !little(c.Budget.Tmp) || unix.SchedGetaffinity(0, &s.all) != nil {
		return s
	}
	var now uint32
	_, _, errno := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&now)), 0, 0)
	s.one.Set(int(now))
	s.shared = errno == 0 && s.all.Count() > 1 && s.all.IsSet(int(now))
	return s
}

// take keeps the calling goroutine on its thread, and that, with all that it starts, on the seat, until leave is called.
func (s seat) take() (leave func()) {
	runtime.LockOSThread()
	if s.shared {
		_ = unix.SchedSetaffinity(0, &s.one)
	}
	return func() {
		if s.shared {
			_ = unix.SchedSetaffinity(0, &s.all)
		}
		runtime.UnlockOSThread()
	}
}
