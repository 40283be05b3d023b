package forward_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gaia/adapters/forward"
	"gaia/domain"
)

// heldUp is a service that has taken the whole request, and answers when it may.
func heldUp(t *testing.T) (s *service, taken chan struct{}, answer chan struct{}) {
	t.Helper()
	taken, answer = make(chan struct{}, 1), make(chan struct{})
	s = newService(t, "c1", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		taken <- struct{}{}
		select {
		case <-answer:
			says("done")(w, r)
		case <-r.Context().Done():
		}
	})
	return s, taken, answer
}

// bodies are those of requests that must not be carried out twice: read before they are passed on, as they come, and none.
var bodies = map[string]struct {
	body   func() io.Reader
	header []string
}{
	"whole":                  {func() io.Reader { return strings.NewReader("{}") }, []string{"X-Test-Whole", "1"}},
	"form":                   {func() io.Reader { return strings.NewReader("{}") }, nil},
	"form of unknown length": {func() io.Reader { return io.MultiReader(strings.NewReader("{}")) }, nil},
	"none":                   {func() io.Reader { return nil }, nil},
}

// said is what a client has heard.
type said struct {
	status int
	text   string
}

func ask(t *testing.T, g *gateway, method string, body io.Reader, header ...string) chan said {
	t.Helper()
	heard := make(chan said, 1)
	go func() {
		status, _, text, err := call(t, method, g.URL, body, header...)
		heard <- said{status, fmt.Sprint(text, err)}
	}()
	return heard
}

// isInvited reports whether a client is told to send its request again.
func isInvited(err error) bool {
	var known *domain.Error
	return errors.As(err, &known) && known.Kind == domain.Canceled && errors.Is(err, domain.ErrStopping)
}

func isUnknown(err error) bool {
	var known *domain.Error
	return errors.As(err, &known) && known.Kind == domain.Unavailable && known.Code == domain.CodeOutcomeUnknown && known.RetryAfter == 0 &&
		strings.Contains(known.Message, "not known whether")
}

// What a service has been sent when this process has to stop is most often carried out. Whoever waits for it hears so. Without the grace
// the client would get a 503 although the service answers.
func TestAnswersComeAfterTheStop(t *testing.T) {
	t.Parallel()
	for name, b := range bodies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, taken, answer := heldUp(t)
			g := serve(t, start(t, forward.Config{Grace: patience}, s.url()), domain.Hop{Wait: patience})
			heard := ask(t, g, http.MethodPost, b.body(), b.header...)
			<-taken
			g.stop()
			select {
			case got := <-heard:
				t.Fatalf("%v before the service has answered", got)
			case <-time.After(50 * time.Millisecond): // what must not happen has no moment
			}
			close(answer)
			if got := <-heard; got.status != 200 || !strings.HasPrefix(got.text, "done") {
				t.Errorf("%v", got)
			}
			if err := g.outcome(t); err != nil {
				t.Error(err)
			}
		})
	}
}

// When the grace is over nobody knows what the service has done. To invite the client to send the request again would have it carried out
// twice.
func TestOutcomesThatNobodyKnows(t *testing.T) {
	t.Parallel()
	for name, b := range bodies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, taken, _ := heldUp(t)
			g := serve(t, start(t, forward.Config{Grace: 20 * time.Millisecond}, s.url()), domain.Hop{Wait: patience})
			heard := ask(t, g, http.MethodPost, b.body(), b.header...)
			<-taken
			g.stop()
			if err := g.outcome(t); !isUnknown(err) {
				t.Errorf("%#v", err)
			}
			if got := <-heard; got.status != 503 {
				t.Errorf("%v", got)
			}
			if c := s.asked.Load(); c != 1 {
				t.Errorf("it was asked %d times", c)
			}
		})
	}
}

// The service breaks off within the grace: that is no answer, and no reason to send the request again.
func TestServicesThatBreakOffAfterTheStop(t *testing.T) {
	t.Parallel()
	taken, end := make(chan struct{}, 1), make(chan struct{})
	target := perRequest(t, func(conn *net.TCPConn, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		taken <- struct{}{}
		<-end
		reset(conn)
		return false
	})
	g := serve(t, start(t, forward.Config{Grace: patience}, target), domain.Hop{Wait: patience})
	heard := ask(t, g, http.MethodPost, strings.NewReader("{}"), "X-Test-Whole", "1")
	<-taken
	g.stop()
	close(end)
	if err := g.outcome(t); !isUnknown(err) {
		t.Errorf("%#v", err)
	}
	<-heard
}

// What may be carried out twice is not waited for: another process answers it. With the grace of the others these would come to an end only
// after it.
func TestRepeatableRequestsAreSentElsewhere(t *testing.T) {
	t.Parallel()
	for name, header := range map[string][]string{http.MethodGet: nil, http.MethodPost: {"X-Test-Repeatable", "1", "X-Test-Whole", "1"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, taken, _ := heldUp(t)
			g := serve(t, start(t, forward.Config{Grace: time.Hour}, s.url()), domain.Hop{Wait: time.Hour})
			heard := ask(t, g, name, strings.NewReader("{}"), header...)
			<-taken
			g.stop()
			if err := g.outcome(t); !isInvited(err) {
				t.Errorf("%#v", err)
			}
			<-heard
		})
	}
}

// What no service has seen can be sent again, at once. Here it waits for a hand that nobody shakes. With the grace of what was sent it would come to
// an end only after it.
func TestRequestsThatWereNotSentAreInvited(t *testing.T) {
	t.Parallel()
	wake := make(chan struct{})
	mute := strings.Replace(raw(t, func(*net.TCPConn, int) { <-wake }), "http:", "https:", 1)
	t.Cleanup(func() { close(wake) })
	for name, b := range bodies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tried := make(chan struct{}, 100)
			observe := func(context.Context, forward.Attempt, http.Header) func(forward.Ending) {
				tried <- struct{}{}
				return func(forward.Ending) {}
			}
			f := start(t, forward.Config{Connect: time.Hour, Grace: time.Hour, Observe: observe}, mute)
			g := serve(t, f, domain.Hop{Wait: time.Hour})
			heard := ask(t, g, http.MethodPost, b.body(), b.header...)
			<-tried
			g.stop()
			if err := g.outcome(t); !isInvited(err) {
				t.Errorf("%#v", err)
			}
			<-heard
		})
	}
}

// Half a body stores nothing, if it is known to be half of one. To say that nobody knows would have people look for what can't be there.
func TestBodiesThatHaveNotComeAtTheStop(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, 1)
	s := newService(t, "c1", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, 4))
		begun <- struct{}{}
		_, _ = io.Copy(io.Discard, r.Body)
	})
	g := serve(t, start(t, forward.Config{Grace: 20 * time.Millisecond}, s.url()), domain.Hop{Wait: patience})
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://")) //nolint:noctx // a test's own
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf")
	<-begun
	g.stop()
	if err := g.outcome(t); !isInvited(err) {
		t.Errorf("%#v", err)
	}
}

// Streams are told at once, and not after a grace: they say themselves how to go on.
func TestStreamsEndWithTheStop(t *testing.T) {
	t.Parallel()
	s := newService(t, "c1", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	g := serve(t, start(t, forward.Config{Grace: time.Hour}, s.url()), domain.Hop{Wait: patience})
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL, strings.NewReader("{}"))
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	g.stop()
	if err := g.outcome(t); !isInvited(err) {
		t.Errorf("%#v", err)
	}
}
