package main

import "syscall"

// dieWithUs ends the gateway with this process, whatever becomes of it.
var dieWithUs = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
