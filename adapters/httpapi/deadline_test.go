package httpapi

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// A caller who is refused before anybody reads the body must not hold a connection by keeping that body back.
func TestBodiesThatNobodyReadsAreNotAwaitedForEver(t *testing.T) {
	t.Parallel()
	refuse := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	s := httptest.NewServer(limitBodyTime(50 * time.Millisecond)(refuse))
	t.Cleanup(s.Close)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("status %d", res.StatusCode)
	}
}

// writeDeadlines notes the deadlines that an answer gets.
type writeDeadlines struct {
	http.ResponseWriter
	set []time.Time
}

func (w *writeDeadlines) SetWriteDeadline(at time.Time) error {
	w.set = append(w.set, at)
	return nil
}

func TestAnswersThatNobodyReadsAreGivenUp(t *testing.T) {
	t.Parallel()
	e := newTestEdge(t)
	e.router.Get("/x", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) })
	w := &writeDeadlines{ResponseWriter: httptest.NewRecorder()}
	before := time.Now()
	e.router.ServeHTTP(w, request(t, http.MethodGet, "/x"))
	if len(w.set) != 1 || w.set[0].Before(before.Add(answerTimeout)) || w.set[0].After(time.Now().Add(answerTimeout)) {
		t.Errorf("deadlines %v of an answer that began after %v", w.set, before)
	}
}
