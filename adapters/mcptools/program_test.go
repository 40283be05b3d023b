//go:build unix

package mcptools

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gaia/domain"
	"gaia/ports/portstest"
)

func init() {
	// parent is a program that uses a tool server, as this one does, until somebody kills it.
	hostilePrograms["parent"] = func() error {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		s, err := Open(Config{Servers: []Server{{Name: "h", Command: self, Env: map[string]string{roleVariable: "tells its pid"}}}})
		if err != nil {
			return err
		}
		for {
			if r, err := s.Call(context.Background(), domain.ToolInvocation{Server: "h", Tool: "good"}); err == nil {
				fmt.Println(r.Text)
				select {}
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// alive reports whether a process runs. One that has ended and waits for its parent does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return syscall.Kill(pid, 0) == nil && !os.IsNotExist(err)
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}

func gone(t *testing.T, pids ...int) {
	t.Helper()
	portstest.Within(t, portstest.Patience, fmt.Sprintf("processes %v are gone", pids), func() bool { return !slices.ContainsFunc(pids, alive) })
}

func pids(t *testing.T, text string) []int {
	t.Helper()
	var list []int
	for f := range strings.FieldsSeq(text) {
		pid, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, pid)
	}
	return list
}

func TestProgramsEndWithTheirServer(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"tells its pid", "does not end", "has children"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			p := hurried
			p.closing = 100 * time.Millisecond
			s := open(t, p, playing(t, "h", role))
			up(t, s, "h")
			r, err := callGood(t, s, `{}`)
			if err != nil {
				t.Fatal(err)
			}
			processes := pids(t, r.Text)
			s.Close()
			if alive(processes[0]) {
				t.Errorf("process %d runs on", processes[0])
			}
			gone(t, processes...) // children of children are buried by others
		})
	}
}

func TestProgramEndsWithItsParent(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self)
	parent.Env = append(os.Environ(), roleVariable+"=parent")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var child int
	if _, err := fmt.Fscan(out, &child); err != nil {
		t.Fatal(err)
	}
	if !alive(child) {
		t.Fatal("the server does not run")
	}
	_ = parent.Process.Kill() // SIGKILL: it can't stop anything itself
	_ = parent.Wait()
	gone(t, child)
}

func TestProgramGetsNothingOfTheEnvironmentButWhatItNeeds(t *testing.T) {
	t.Setenv("API_KEY", "secret-of-gaia")
	h := playing(t, "h", "shows its environment")
	h.Env["NAMED"] = "value"
	s := open(t, hurried, h)
	up(t, s, "h")
	r, err := callGood(t, s, `{}`)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(r.Text) {
		name, _, _ := strings.Cut(line, "=")
		if !slices.Contains(append([]string{"NAMED", roleVariable, "GOMAXPROCS"}, passedOn...), name) {
			t.Errorf("it sees %s", name)
		}
	}
	if !strings.Contains(r.Text, "NAMED=value") || !strings.Contains(r.Text, "PATH=") {
		t.Errorf("it sees %s", r.Text)
	}
}

func TestProgramThatCantBeStartedIsTriedAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, hurried, Server{Name: "h", Command: dir + "/absent", Args: []string{"--token=hunter2"}})
	s.Ready(t.Context())
	portstest.Within(t, portstest.Patience, "it is down", func() bool { return s.States()[0].Status == Down })
	if fault := s.States()[0].Fault; !strings.Contains(fault, "can't be started") || strings.Contains(fault, "hunter2") {
		t.Errorf("fault %q", fault)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\n%s=good exec %s\n", roleVariable, self)
	if err := os.WriteFile(dir+"/new", []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir+"/new", dir+"/absent"); err != nil {
		t.Fatal(err)
	}
	up(t, s, "h")
}

func TestHeadersGoToTheirHostAlone(t *testing.T) {
	t.Parallel()
	var seen atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen.Add(1) }))
	defer other.Close()
	var authorized atomic.Int32
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer hunter2" && len(r.Cookies()) == 0 {
			authorized.Add(1)
		}
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}))
	s := open(t, hurried, Server{Name: "h", URL: url + "?key=hunter2", Headers: map[string]string{"Authorization": "Bearer hunter2"}, secrets: []string{"Bearer hunter2"}})
	s.Ready(t.Context())
	portstest.Within(t, portstest.Patience, "it has been tried twice", func() bool { return authorized.Load() > 2 })
	if seen.Load() != 0 {
		t.Error("another host was asked")
	}
	if fault := s.States()[0].Fault; fault == "" || strings.Contains(fault, "hunter2") {
		t.Errorf("fault %q", fault)
	}
}

func TestStatusesOfHTTPServers(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		http.StatusUnauthorized: "", http.StatusForbidden: "", http.StatusTooManyRequests: "",
		http.StatusInternalServerError: domain.CodeOutcomeUnknown, http.StatusBadGateway: domain.CodeOutcomeUnknown, http.StatusServiceUnavailable: domain.CodeOutcomeUnknown,
	} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			good := handlerOf(nil, false)
			s := open(t, hurried, Server{Name: "h", URL: serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := peek(r)
				if err == nil && strings.Contains(body, "tools/call") {
					http.Error(w, "no", status)
					return
				}
				good(w, r)
			}))})
			up(t, s, "h")
			_, err := callGood(t, s, `{}`)
			if domain.KindOf(err) != domain.Unavailable || isUnknown(err) != (want != "") {
				t.Errorf("%v, want Unavailable with code %q", err, want)
			}
		})
	}
}

// peek reads a request and puts it back.
func peek(r *http.Request) (string, error) {
	body, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	return string(body), err
}

func TestServerThatIsNotThereIsNoUnknownOutcome(t *testing.T) {
	t.Parallel()
	srv := httptest.NewUnstartedServer(handlerOf(nil, false))
	srv.Config.SetKeepAlivesEnabled(false) // on a connection that was there before, nobody would know
	srv.Start()
	s := open(t, hurried, Server{Name: "h", URL: srv.URL})
	up(t, s, "h")
	srv.CloseClientConnections()
	srv.Close()
	_, err := callGood(t, s, `{}`)
	if kind := domain.KindOf(err); isUnknown(err) || kind != domain.Unavailable && kind != domain.NotFound {
		t.Errorf("%v, want Unavailable or NotFound: nothing was sent", err)
	}
}
