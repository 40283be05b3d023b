package main

import (
	"net"
	"path/filepath"
	"testing"
	"time"
)

func TestSystemdIsTold(t *testing.T) { // not in parallel: it is about the environment
	notify("READY=1") // nobody is there
	path := filepath.Join(t.TempDir(), "notify")
	systemd, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Skip(err)
	}
	defer systemd.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	notify("MAINPID=7\nREADY=1")
	if err := systemd.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 100)
	if n, err := systemd.Read(got); err != nil || string(got[:n]) != "MAINPID=7\nREADY=1" {
		t.Errorf("%q, %v", got[:n], err)
	}
}
