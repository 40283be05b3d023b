package main

import (
	"net"
	"os"
	"strconv"
	"testing"
)

func TestSocketsOfSystemd(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ count, names, want string }{
		{"1", "gaia.socket", "service=3"}, {"1", "", "service=3"}, {"2", "internal:service", "internal=3,service=4"}, {"", "", ""}, {"x", "", ""},
	} {
		if got := fromSystemd(test.count, test.names); got != test.want {
			t.Errorf("%q, %q: %q, want %q", test.count, test.names, got, test.want)
		}
	}
}

// givenAway are files whose descriptors somebody else has closed: they must not be closed when they are collected.
var givenAway []*os.File

// The sockets that a process was given are used again where the settings still want them, and then the next process is given them.
func TestGivenSockets(t *testing.T) { // not in parallel: it is about the environment
	before := &sockets{}
	first, err := before.listen(serviceSocket, "127.0.0.1:0")
	if err != nil {
		t.Skip(err)
	}
	defer first.Close()
	address := first.Addr().String()
	for wanted, same := range map[string]bool{address: true, "127.0.0.1:0": true, "127.0.0.2:0": false} {
		files, variable, err := before.files(0)
		if err != nil {
			t.Skip(err) // not on this system
		}
		t.Setenv(socketsVariable, variable)
		t.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid())) // of nobody, when Gaia itself gives
		s, err := givenSockets()
		if err != nil {
			t.Fatal(err)
		}
		if os.Getenv(socketsVariable) != "" {
			t.Error("children hear of the sockets")
		}
		got, err := s.listen(serviceSocket, wanted)
		if err != nil {
			t.Fatal(err)
		}
		if (got.Addr().String() == address) != same {
			t.Errorf("wanted %s: got %s, had %s", wanted, got.Addr(), address)
		}
		_ = got.Close()
		givenAway = append(givenAway, files...)
	}
	t.Setenv(socketsVariable, "service=x")
	if _, err := givenSockets(); err == nil {
		t.Error("nonsense is believed")
	}
}

// A descriptor that is given away must not make those who share the socket block in the kernel: their Close would wait for a client.
func TestSocketsStayOpenForPolling(t *testing.T) {
	t.Parallel()
	s := &sockets{}
	l, err := s.listen(serviceSocket, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	files, _, err := s.files(0)
	if err != nil {
		t.Skip(err)
	}
	defer closeAll(files)
	for _, f := range files {
		_ = f.Fd()
	}
	accepted := make(chan error, 1)
	go func() { _, err := l.Accept(); accepted <- err }()
	if err := (&closingListener{Listener: l}).Close(); err != nil {
		t.Error(err)
	}
	if err := <-accepted; err == nil {
		t.Error("somebody came")
	}
	if conn, err := net.Dial("tcp", l.Addr().String()); err != nil {
		t.Errorf("the socket is closed for all: %v", err)
	} else {
		_ = conn.Close()
	}
}
