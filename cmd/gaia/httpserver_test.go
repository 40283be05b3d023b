package main

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

const aRequest = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

// connect serves and sends a request.
func connect(t *testing.T, s *httpServer) net.Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, aRequest); err != nil {
		t.Fatal(err)
	}
	return conn
}

// What was cut off is saved before the stores are closed.
func TestDrainWaitsForAnswersThatWereCutOff(t *testing.T) {
	t.Parallel()
	begun, saved := make(chan struct{}), false
	s := newHTTPServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
		time.Sleep(50 * time.Millisecond) // saving takes a while
		saved = true
	}), 100, func(net.Conn, http.ConnState) {}, slog.New(slog.DiscardHandler))
	conn := connect(t, s)
	<-begun
	if _, err := io.WriteString(conn, aRequest); err != nil { // while one waits, net/http can't notice that a connection is closed
		t.Fatal(err)
	}
	if s.drain(50 * time.Millisecond) {
		t.Error("drain says that all could finish")
	}
	if !saved {
		t.Error("drain has not waited for the save")
	}
}

func TestDrainLetsAnswersFinish(t *testing.T) {
	t.Parallel()
	begun, finish := make(chan struct{}, 1), make(chan struct{})
	s := newHTTPServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		begun <- struct{}{}
		<-finish
		_, _ = w.Write([]byte("whole"))
	}), 100, func(net.Conn, http.ConnState) {}, slog.New(slog.DiscardHandler))
	conn := connect(t, s)
	<-begun
	close(finish)
	if !s.drain(10 * time.Second) {
		t.Error("drain says that something was cut off")
	}
	answer, err := io.ReadAll(conn)
	if err != nil || len(answer) < 5 || string(answer[len(answer)-5:]) != "whole" {
		t.Errorf("answer %q, error %v", answer, err)
	}
}
