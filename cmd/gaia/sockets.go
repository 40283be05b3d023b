package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// socketsVariable names the sockets that a process leaves to the one that takes its place: "service=3,ready=4", by their numbers. It is no
// setting: nobody but Gaia sets it.
const socketsVariable = "GAIA_SOCKETS"

// Names of sockets, as systemd may give them too (FileDescriptorName=).
const (
	serviceSocket  = "service"
	internalSocket = "internal"
	adminSocket    = "admin"
	readySocket    = "ready" // a pipe: the process before reads from it that this one is ready
)

// sockets opens what a process listens at. Sockets that the process was given are used before new ones are made.
type sockets struct {
	given    map[string]net.Listener
	foreign  bool     // systemd gave them: it decides about addresses, not the settings
	ready    *os.File // nil: nobody waits for this process
	listened map[string]*net.TCPListener
}

// givenSockets takes over what this process was given. The variables that tell of it are gone afterwards: they are not for its children.
func givenSockets() (*sockets, error) {
	own, count, names, pid := os.Getenv(socketsVariable), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES"), os.Getenv("LISTEN_PID")
	for _, name := range []string{socketsVariable, "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"} {
		if err := os.Unsetenv(name); err != nil {
			return nil, fmt.Errorf("sockets: %w", err)
		}
	}
	s := &sockets{given: map[string]net.Listener{}}
	if own == "" && pid == strconv.Itoa(os.Getpid()) {
		s.foreign = true
		own = fromSystemd(count, names)
	}
	for entry := range strings.SplitSeq(own, ",") {
		if entry == "" {
			continue
		}
		name, text, _ := strings.Cut(entry, "=")
		fd, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("%s: %q is no name=number", socketsVariable, entry)
		}
		if err := s.take(name, uintptr(fd)); err != nil {
			return nil, fmt.Errorf("the socket %s that this process was given: %w", name, err)
		}
	}
	return s, nil
}

// fromSystemd says in Gaia's words which sockets systemd hands over: they begin at 3. Where the unit names none, there is one.
func fromSystemd(count, names string) string {
	n, _ := strconv.Atoi(count)
	named := strings.Split(names, ":")
	entries := make([]string, n)
	for i := range entries {
		name := serviceSocket
		if i < len(named) && (named[i] == internalSocket || named[i] == adminSocket) {
			name = named[i]
		}
		entries[i] = name + "=" + strconv.Itoa(3+i)
	}
	return strings.Join(entries, ",")
}

func (s *sockets) take(name string, fd uintptr) error {
	file := os.NewFile(fd, name)
	if file == nil {
		return errors.New("is not open")
	}
	closeOnExec(fd)
	if name == readySocket {
		s.ready = file
		return nil
	}
	listener, err := net.FileListener(file)
	s.given[name] = listener
	return errors.Join(err, file.Close())
}

// listen opens the socket of a name at an address. One that the process before has left is only used when the address is still the same.
func (s *sockets) listen(name, address string) (net.Listener, error) {
	listener := s.given[name]
	delete(s.given, name)
	if listener != nil && !s.foreign && !sameAddress(listener.Addr(), address) {
		_ = listener.Close()
		listener = nil
	}
	if listener == nil {
		var err error
		if listener, err = net.Listen("tcp", address); err != nil {
			return nil, err
		}
	}
	if tcp, ok := listener.(*net.TCPListener); ok {
		if s.listened == nil {
			s.listened = map[string]*net.TCPListener{}
		}
		s.listened[name] = tcp
	}
	return listener, nil
}

// sameAddress reports whether a socket is where settings want it. Port 0 is any.
func sameAddress(at net.Addr, wanted string) bool {
	tcp, ok := at.(*net.TCPAddr)
	host, port, err := net.SplitHostPort(wanted)
	if !ok || err != nil || port != "0" && port != strconv.Itoa(tcp.Port) {
		return false
	}
	ip := net.ParseIP(host)
	return ip == nil || ip.Equal(tcp.IP) || ip.IsUnspecified() && tcp.IP.IsUnspecified()
}

// files are copies of the sockets, for a process that takes over, and what socketsVariable has to say when the first gets the number first
// and so on; numbers of this process when first is 0.
func (s *sockets) files(first int) (files []*os.File, variable string, err error) {
	var entries []string
	for name, listener := range s.listened {
		file, err := duplicate(listener, name)
		if err != nil {
			closeAll(files)
			return nil, "", err
		}
		number := int(file.Fd()) // #nosec G115 -- descriptors are small
		if first > 0 {
			number = first + len(files)
		}
		files = append(files, file)
		entries = append(entries, name+"="+strconv.Itoa(number))
	}
	return files, strings.Join(entries, ","), nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// awaitReady holds a successor back until it can serve: as long as the process before is there, nobody misses it.
func (s *sockets) awaitReady(ctx context.Context, ready func(context.Context) error) {
	if s.ready == nil {
		return
	}
	for ready(ctx) != nil {
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return
		}
	}
}

// tellReady lets the process before go.
func (s *sockets) tellReady() {
	if s.ready != nil {
		_, _ = s.ready.WriteString(readyWord) // should it be gone, all the better
		_ = s.ready.Close()
		s.ready = nil
	}
}

// readyWord is what a successor says when it serves.
const readyWord = "ready\n"
