package forward_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gaia/adapters/forward"
	"gaia/domain"
)

func TestRequestsAndAnswersPassUnchanged(t *testing.T) {
	t.Parallel()
	seen := make(chan *http.Request, 1)
	s := newService(t, "c1", func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Clone(context.Background())
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("X-Own", "1")
		h.Set("Connection", "X-Hop")
		h.Set("X-Hop", "1")
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Retry-After", "7")
		h.Set("Trailer", "X-Late")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = io.WriteString(w, `{"detail":[]}`)
		h.Set("X-Late", "1")
	})
	f := start(t, forward.Config{}, s.url())
	g := serve(t, f, domain.Hop{})
	h := want(t, 422, `{"detail":[]}`, http.MethodPost, g.URL+"/api/a%2Fb/c?x=1&y=%20", strings.NewReader("hello"),
		domain.ForwardedHeader, "forged", "Connection", "X-Mine", "X-Mine", "1", "X-Forwarded-For", "9.9.9.9", "X-Request-Id", "rid", "Idempotency-Key", "k", "Te", "trailers")
	for name, value := range map[string]string{"X-Own": "1", "Retry-After": "7", "X-Hop": "", "Access-Control-Allow-Origin": "", forward.InstanceHeader: "", domain.AnswerHeader: "", "Content-Type": "application/json"} {
		if h.Get(name) != value {
			t.Errorf("answer: %s is %q, want %q", name, h.Get(name), value)
		}
	}
	r := <-seen
	for name, value := range map[string]string{
		domain.ForwardedHeader: "signed:chat:rid", "X-Mine": "", "Te": "", "X-Forwarded-For": "9.9.9.9", "X-Request-Id": "rid", "Idempotency-Key": "k", "Content-Length": "5",
	} {
		if name == "Content-Length" {
			if r.ContentLength != 5 {
				t.Errorf("the length is %d", r.ContentLength)
			}
		} else if got := r.Header.Values(name); strings.Join(got, ",") != value {
			t.Errorf("request: %s is %q, want %q", name, got, value)
		}
	}
	if r.RequestURI != "/api/a%2Fb/c?x=1&y=%20" || "http://"+r.Host != g.URL {
		t.Errorf("the service saw %s of %s", r.RequestURI, r.Host)
	}
}

func TestEventsComeAtOnceAndAlone(t *testing.T) {
	t.Parallel()
	more := make(chan string)
	s := newService(t, "c1", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		_ = http.NewResponseController(w).Flush()
		for text := range more {
			_, _ = io.WriteString(w, text)
			_ = http.NewResponseController(w).Flush()
		}
		panic(http.ErrAbortHandler)
	})
	g := serve(t, start(t, forward.Config{}, s.url()), domain.Hop{})
	resp, err := http.Get(g.URL) //nolint:noctx // ends with the test
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	in := bufio.NewReader(resp.Body)
	for i := range 100 {
		more <- fmt.Sprintf("data: %d\n\n", i)
		if line, err := in.ReadString('\n'); err != nil || line != fmt.Sprintf("data: %d\n", i) {
			t.Fatalf("%q %v", line, err)
		}
		_, _ = in.ReadString('\n')
	}
	large := "data: " + strings.Repeat("x", 100_000) + "\r\n\r\n"
	more <- large
	got := make([]byte, len(large))
	if _, err := io.ReadFull(in, got); err != nil || string(got) != large {
		t.Fatalf("a large event: %v", err)
	}
	more <- "data: whole\n\ndata: half of"
	close(more)
	rest, err := io.ReadAll(in)
	if string(rest) != "data: whole\n\n" || err == nil {
		t.Errorf("at the break: %q %v", rest, err)
	}
	if err := g.outcome(t); !errors.Is(err, domain.ErrBrokenOff) {
		t.Errorf("%v is no broken answer", err)
	}
}

func TestLargeBodiesStreamBothWays(t *testing.T) {
	t.Parallel()
	const size = 100 << 20
	s := newService(t, "c1", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Type", "model/gltf-binary")
			w.Header().Set("Content-Length", fmt.Sprint(size))
			_, _ = io.CopyN(w, zeros{}, size)
			return
		}
		sum := sha256.New()
		n, err := io.Copy(sum, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, "%d %x %v", n, sum.Sum(nil), err)
	})
	g := serve(t, start(t, forward.Config{}, s.url()), domain.Hop{Wait: 2 * time.Second})
	sum := sha256.New()
	_, _ = io.CopyN(sum, zeros{}, size)
	for _, length := range []int64{size, -1} {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL, io.LimitReader(zeros{}, size))
		r.ContentLength = length
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if string(got) != fmt.Sprintf("%d %x <nil>", size, sum.Sum(nil)) {
			t.Errorf("length %d: %d %s", length, resp.StatusCode, got)
		}
	}
	resp, err := http.Get(g.URL) //nolint:noctx // ends with the test
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil || resp.ContentLength != size {
		t.Errorf("download: %d of %d, %v", n, resp.ContentLength, err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// A slow client's upload may take longer than a service may think.
func TestTimeOfTheClientIsNotTheServices(t *testing.T) {
	t.Parallel()
	s := newService(t, "c1", says("done"))
	g := serve(t, start(t, forward.Config{}, s.url()), domain.Hop{Wait: 300 * time.Millisecond})
	out, in := io.Pipe()
	go func() {
		for range 10 {
			time.Sleep(100 * time.Millisecond) // the client is slow, nothing waits for it
			_, _ = io.WriteString(in, "piece")
		}
		_ = in.Close()
	}()
	want(t, 200, "done", http.MethodPost, g.URL, out)
}

func TestServicesRefuseUploadsBeforeTheyCome(t *testing.T) {
	t.Parallel()
	s := newService(t, "c1", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "busy")
	})
	g := serve(t, start(t, forward.Config{}, s.url()), domain.Hop{})
	body := &counted{}
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL, body)
	r.ContentLength = 1 << 30
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != 503 || string(got) != "busy" || body.n.Load() > 64<<20 {
		t.Errorf("%d %q after %d bytes", resp.StatusCode, got, body.n.Load())
	}
}

type counted struct{ n atomic.Int64 }

func (c *counted) Read(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}

func TestClientsThatLeaveAreNotWorkedFor(t *testing.T) {
	t.Parallel()
	begun, left := make(chan struct{}), make(chan time.Time, 1)
	s := newService(t, "c1", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Stream") != "" {
			w.Header().Set("Content-Type", "text/event-stream")
			_ = http.NewResponseController(w).Flush()
		}
		_, _ = io.Copy(io.Discard, r.Body) // or net/http does not notice
		begun <- struct{}{}
		<-r.Context().Done()
		left <- time.Now()
	})
	g := serve(t, start(t, forward.Config{}, s.url()), domain.Hop{})
	leave := func(stream string) time.Duration {
		ctx, cancel := context.WithCancel(t.Context())
		r, _ := http.NewRequestWithContext(ctx, http.MethodPost, g.URL, strings.NewReader("{}"))
		r.Header.Set("Stream", stream)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if resp, err := http.DefaultTransport.RoundTrip(r); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		}()
		<-begun
		at := time.Now()
		cancel()
		took := (<-left).Sub(at)
		<-done
		if err := g.outcome(t); domain.KindOf(err) != domain.Canceled {
			t.Errorf("stream %q: %v", stream, err)
		}
		return took
	}
	// 100 ms on a machine that does nothing else. A service that is left to work for a while, as while a gateway stops, is so in every try;
	// one that is never told keeps the test from ending.
	const soon = time.Second
	for _, stream := range []string{"", "1"} {
		took := leave(stream)
		for n := 1; n < 3 && took > soon; n++ {
			took = leave(stream)
		}
		if took > soon {
			t.Errorf("stream %q: the service worked on for %v", stream, took)
		} else {
			t.Logf("stream %q: noticed after %v", stream, took)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	s := newService(t, "c1", says("here"))
	s.down()
	f := start(t, forward.Config{RetryDelay: time.Millisecond}, s.url())
	g := serve(t, f, domain.Hop{})
	for range 20 {
		began := time.Now()
		want(t, 503, "Service chat unavailable", http.MethodPost, g.URL, strings.NewReader("{}"), "X-Test-Whole", "1")
		err := g.outcome(t)
		var known *domain.Error
		if !errors.As(err, &known) || known.Kind != domain.Unavailable || known.RetryAfter < time.Second {
			t.Fatalf("%#v", err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("a refusal took %v", took)
		}
	}
	s.up(t)
	eventually(t, "it is found again", func() bool {
		status, _, _, err := call(t, http.MethodPost, g.URL, strings.NewReader("{}"))
		return err == nil && status == 200
	})
	if err := f.Forward(nil, nil, domain.Hop{Service: domain.ServiceAsset}); domain.KindOf(err) != domain.Unavailable {
		t.Errorf("a service that nobody has named: %v", err)
	}
}

// Nobody dials an address that is known to be away, however many ask.
func TestNoDialStorm(t *testing.T) {
	t.Parallel()
	var dials atomic.Int64
	target := raw(t, func(conn *net.TCPConn, _ int) {
		dials.Add(1)
		reset(conn)
	})
	g := serve(t, start(t, forward.Config{}, target), domain.Hop{})
	eventually(t, "it is left alone", func() bool {
		status, _, _, err := call(t, http.MethodPost, g.URL, strings.NewReader("{}"))
		return err == nil && status == 503 && dials.Load() > 2
	})
	before := dials.Load()
	for range 500 {
		want(t, 503, "", http.MethodPost, g.URL, strings.NewReader("{}"))
	}
	if more := dials.Load() - before; more > 50 {
		t.Errorf("%d dials for 500 requests", more)
	}
}

func TestHangingService(t *testing.T) {
	t.Parallel()
	var hang atomic.Bool
	wake := make(chan struct{})
	target := raw(t, func(conn *net.TCPConn, _ int) {
		in := bufio.NewReader(conn)
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			if hang.Load() {
				<-wake
				return
			}
			answer := head + "Content-Length: 4\r\n\r\nhung"
			if r.URL.Path == "/readyz" {
				answer = probed(conn)
			}
			_, _ = io.WriteString(conn, answer)
		}
	})
	t.Cleanup(func() { close(wake) })
	s := newService(t, "c2", says("well"))
	f := start(t, forward.Config{ProbeInterval: time.Hour, ProbeTimeout: 200 * time.Millisecond}, target, s.url())
	g := serve(t, f, domain.Hop{Wait: patience})
	allReady(t, f, 2)
	hang.Store(true)
	for range 20 { // what can be sent again does not wait for it, and others are not sent there for long
		began := time.Now()
		want(t, 200, "", http.MethodGet, g.URL, nil)
		if took := time.Since(began); took > patience/2 {
			t.Errorf("waited %v for an address that hangs", took)
		}
	}
	// When it is the only one: what can't be sent again is refused when its time is over.
	alone := serve(t, start(t, forward.Config{}, target), domain.Hop{Wait: 300 * time.Millisecond})
	began := time.Now()
	want(t, 503, "Service chat unavailable", http.MethodPost, alone.URL, strings.NewReader("{}"))
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("waited %v", took)
	}
}

// A process that takes a request and answers nothing any more, probes neither, is not waited for to the end of what a chat may take. One that
// takes no more connections is: it finishes what it has begun.
func TestHangingServiceIsGivenUp(t *testing.T) {
	t.Parallel()
	wake := make(chan struct{})
	hangs := raw(t, func(*net.TCPConn, int) { <-wake })
	t.Cleanup(func() { close(wake) })
	f := start(t, forward.Config{ProbeTimeout: 100 * time.Millisecond, Unheard: time.Second}, hangs)
	want(t, 503, "Service chat unavailable", http.MethodPost, serve(t, f, domain.Hop{Wait: time.Hour}).URL, strings.NewReader("{}"))
	if c := f.Stats()[chat]; c.Requests != 1 || c.Lost != 1 || c.Retries != 0 {
		t.Errorf("%+v", c)
	}

	begun, finish := make(chan struct{}), make(chan struct{})
	s := newService(t, "c1", func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-finish
		says("well")(w, r)
	})
	stops := start(t, forward.Config{ProbeTimeout: 10 * time.Second, Unheard: 100 * time.Millisecond}, s.url())
	g := serve(t, stops, domain.Hop{Wait: time.Hour})
	answered := make(chan string, 1)
	go func() {
		_, _, said, err := call(t, http.MethodPost, g.URL, strings.NewReader("{}"))
		answered <- fmt.Sprint(said, err)
	}()
	<-begun
	go func() { _ = s.server.Shutdown(context.Background()) }()
	eventually(t, "it is known to be away", func() bool { return stops.Instances(chat)[0].Health.Status == domain.Unhealthy })
	time.AfterFunc(3*time.Second, func() { close(finish) }) // time enough to be given up
	if said := <-answered; said != "well<nil>" {
		t.Error(said)
	}
}

func TestConnectionsThatDieBeforeTheHead(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	bad := perRequest(t, func(conn *net.TCPConn, _ *http.Request) bool {
		asked.Add(1)
		reset(conn)
		return false
	})
	s := newService(t, "c2", says("well"))
	f := start(t, forward.Config{}, bad, s.url())
	g := serve(t, f, domain.Hop{})
	allReady(t, f, 2)
	for range 30 {
		want(t, 200, "well", http.MethodGet, g.URL, nil)
		want(t, 200, "well", http.MethodPost, g.URL, strings.NewReader("{}"), "X-Test-Repeatable", "1", "X-Test-Whole", "1")
	}
	if asked.Load() == 0 {
		t.Error("the broken address was never asked")
	}
	// What must not be carried out twice is not sent twice, and nobody is invited to.
	alone := serve(t, start(t, forward.Config{}, bad), domain.Hop{})
	before := asked.Load()
	want(t, 503, "Service chat unavailable", http.MethodPost, alone.URL, strings.NewReader("{}"), "X-Test-Whole", "1", "Idempotency-Key", "not-kept")
	if n := asked.Load() - before; n != 1 {
		t.Errorf("it was sent %d times", n)
	}
	if err := alone.outcome(t); !isUnknown(err) {
		t.Errorf("%#v", err)
	}
}

func TestAnswersThatBreakOff(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"a known length":   head + "Content-Type: application/json\r\nContent-Length: 100\r\n\r\nhalf",
		"pieces":           head + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		"before any piece": head + "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n",
	} {
		for how, end := range map[string]func(*net.TCPConn){"reset": reset, "closed": func(c *net.TCPConn) { _ = c.Close() }} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				target := perRequest(t, func(conn *net.TCPConn, _ *http.Request) bool {
					_, _ = io.WriteString(conn, answer)
					time.Sleep(10 * time.Millisecond) // a reset may overtake what was sent before it; either is right, this is likelier
					end(conn)
					return false
				})
				g := serve(t, start(t, forward.Config{}, target), domain.Hop{})
				if status, _, said, err := call(t, http.MethodPost, g.URL, strings.NewReader("{}")); err != nil || status != 503 {
					t.Errorf("the client is told %d %q, %v", status, said, err)
				}
				if err := g.outcome(t); !isUnknown(err) {
					t.Errorf("%v", err)
				}
			})
		}
	}
}

// Of answers that nobody can use in parts, nearly all are whole when the client sees the first byte: it can be told of one that breaks off, and one that
// may be asked for again is.
func TestLargeAnswersThatBreakOff(t *testing.T) {
	t.Parallel()
	half := strings.Repeat("x", 600<<10)
	for name, test := range map[string]struct {
		answer string
		held   int64
		torn   bool
	}{
		"a known length":              {fmt.Sprintf("Content-Length: %d\r\n\r\n%s", 1<<20, half), 0, false},
		"pieces":                      {fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(half), half), 0, false},
		"more than is held":           {fmt.Sprintf("Content-Length: %d\r\n\r\n%s", 1<<20+1, half), 0, true},
		"more pieces than are held":   {fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", 2*len(half), half+half), 0, true},
		"a known length, and no room": {fmt.Sprintf("Content-Length: %d\r\n\r\n%s", 1<<20, half), 1000, true},
		"pieces, and no room":         {fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(half), half), 100 << 10, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := perRequest(t, func(conn *net.TCPConn, _ *http.Request) bool {
				_, _ = io.WriteString(conn, head+"Content-Type: application/json\r\n"+test.answer)
				return false
			})
			f := start(t, forward.Config{Held: test.held}, target)
			allReady(t, f, 1)
			g := serve(t, f, domain.Hop{})
			for range 3 { // what was held is given back
				status, _, said, err := call(t, http.MethodPost, g.URL, strings.NewReader("{}"), "X-Test-Whole", "1")
				failed := g.outcome(t)
				if torn := status == 200 && err != nil && errors.Is(failed, domain.ErrBrokenOff); torn != test.torn || !torn && status != 503 {
					t.Fatalf("the client is told %d and %d bytes, %v; %v", status, len(said), err, failed)
				}
			}
		})
	}
}

func TestLargeAnswersAreWhole(t *testing.T) {
	t.Parallel()
	for _, size := range []int{32<<10 - 1, 32 << 10, 32<<10 + 1, 64 << 10, 300_000, 1 << 20, 1<<20 + 1, 3 << 20} {
		text := strings.Repeat("0123456789abcde\n", size/16+1)[:size]
		for _, known := range []bool{true, false} {
			s := newService(t, "c1", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if known {
					w.Header().Set("Content-Length", strconv.Itoa(size))
				}
				_, _ = io.WriteString(w, text)
			})
			for _, held := range []int64{0, 1, 200 << 10} {
				g := serve(t, start(t, forward.Config{Held: held}, s.url()), domain.Hop{})
				for range 2 {
					if status, _, said, err := call(t, http.MethodGet, g.URL, nil); status != 200 || said != text || err != nil {
						t.Errorf("%d bytes, told before: %v, room for %d: %d, %d bytes, %v", size, known, held, status, len(said), err)
					}
				}
			}
		}
	}
}

// slowReader is a client that reads so much of an answer, and then nothing until it is told to.
type slowReader struct {
	*httptest.ResponseRecorder

	reads      int
	full, goOn chan struct{}
}

func (s *slowReader) Write(b []byte) (int, error) {
	if s.reads > 0 && s.Body.Len()+len(b) > s.reads {
		s.reads = 0
		close(s.full)
		<-s.goOn
	}
	return s.ResponseRecorder.Write(b)
}

// What a client has read of an answer is held no longer, however slowly it reads the rest.
func TestSlowReadersHoldWhatTheyHaveNotRead(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("x", 1<<20)
	target := perRequest(t, func(conn *net.TCPConn, r *http.Request) bool {
		size := len(text)
		if r.Method == http.MethodPost {
			size /= 4
		}
		_, _ = io.WriteString(conn, head+"Content-Type: application/json\r\nContent-Length: 1048576\r\n\r\n"+text[:size])
		return false
	})
	f := start(t, forward.Config{Held: 1 << 20}, target) // room for one
	allReady(t, f, 1)
	slow := &slowReader{ResponseRecorder: httptest.NewRecorder(), reads: len(text) / 2, full: make(chan struct{}), goOn: make(chan struct{})}
	ended := make(chan error, 1)
	go func() {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		ended <- f.Forward(slow, r, domain.Hop{Service: chat})
	}()
	wait := time.After(patience)
	select {
	case <-slow.full:
	case <-wait:
		t.Fatal("nobody reads")
	}
	g := serve(t, f, domain.Hop{})
	status, _, _, err := call(t, http.MethodPost, g.URL, strings.NewReader("{}"), "X-Test-Whole", "1")
	if status != 503 || err != nil {
		t.Errorf("beside a slow reader, an answer that breaks off is %d, %v", status, err)
	}
	close(slow.goOn)
	select {
	case err := <-ended:
		if err != nil || slow.Body.String() != text {
			t.Errorf("the slow reader has %d bytes, %v", slow.Body.Len(), err)
		}
	case <-wait:
		t.Fatal("the slow reader waits for ever")
	}
}

func TestSilentStreamsAreGivenUp(t *testing.T) {
	t.Parallel()
	wake := make(chan struct{})
	target := perRequest(t, func(conn *net.TCPConn, _ *http.Request) bool {
		_, _ = io.WriteString(conn, head+"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n")
		<-wake // half open: nothing comes any more, not even an end
		return false
	})
	t.Cleanup(func() { close(wake) })
	g := serve(t, start(t, forward.Config{Silence: 200 * time.Millisecond}, target), domain.Hop{})
	_, _, said, err := call(t, http.MethodGet, g.URL, nil)
	if said != "data: 1\n\n" || err == nil {
		t.Errorf("%q %v", said, err)
	}
	if err := g.outcome(t); !errors.Is(err, domain.ErrBrokenOff) {
		t.Errorf("%v", err)
	}
}

// A client that reads slowly does not make a service silent: it reads nothing until two others, whose service has fallen silent, were given up.
func TestSlowReadersAreNoSilence(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	s := newService(t, "c1", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "model/gltf-binary")
		_, _ = io.CopyN(w, zeros{}, size)
	})
	wake := make(chan struct{})
	silent := perRequest(t, func(conn *net.TCPConn, _ *http.Request) bool {
		_, _ = io.WriteString(conn, head+"Content-Type: model/gltf-binary\r\nContent-Length: 10\r\n\r\n1")
		<-wake
		return false
	})
	t.Cleanup(func() { close(wake) })
	c := forward.Config{Standstill: 2 * time.Second, Silence: time.Millisecond} // what holds for streams does not hold for these
	g := serve(t, start(t, c, s.url()), domain.Hop{})
	other := serve(t, start(t, c, silent), domain.Hop{})
	resp, err := http.Get(g.URL) //nolint:noctx // ends with the test
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	for range 2 {
		if _, _, said, err := call(t, http.MethodGet, other.URL, nil); err == nil {
			t.Errorf("it was not given up: %q", said)
		}
	}
	if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
		t.Errorf("%d %v", n, err)
	}
}

// When a service dies in the middle of an upload, the client hears of it though it has not sent the rest.
func TestServiceDiesDuringUpload(t *testing.T) {
	t.Parallel()
	target := perRequest(t, func(conn *net.TCPConn, r *http.Request) bool {
		_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
		_, _ = io.ReadFull(r.Body, make([]byte, 5))
		reset(conn)
		return false
	})
	g := serve(t, start(t, forward.Config{}, target), domain.Hop{Wait: patience})
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://")) //nolint:noctx // a test's own
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\nfirst", 50<<20)
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 503 {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// Connections of clients outlive their requests, whatever the service read of the bodies.
func TestClientsKeepTheirConnections(t *testing.T) {
	t.Parallel()
	s := newService(t, "c1", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/part" {
			_, _ = r.Body.Read(make([]byte, 1))
		} else {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		_, _ = io.WriteString(w, "done")
	})
	g := serve(t, start(t, forward.Config{}, s.url()), domain.Hop{})
	for _, path := range []string{"/whole", "/part"} {
		for _, length := range []int64{5, -1} {
			conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://")) //nolint:noctx // a test's own
			if err != nil {
				t.Fatal(err)
			}
			in := bufio.NewReader(conn)
			_ = conn.SetDeadline(time.Now().Add(patience))
			for i := range 300 {
				r, _ := http.NewRequest(http.MethodPost, "http://gaia"+path, io.MultiReader(strings.NewReader("hello"))) //nolint:noctx // not sent by net/http
				r.ContentLength = length
				if err := r.Write(conn); err != nil {
					t.Fatalf("%s %d: request %d: %v", path, length, i, err)
				}
				resp, err := http.ReadResponse(in, r)
				if err != nil {
					t.Fatalf("%s %d: request %d: %v", path, length, i, err)
				}
				said, err := io.ReadAll(resp.Body)
				if string(said) != "done" || err != nil {
					t.Fatalf("%s %d: request %d: %q %v", path, length, i, said, err)
				}
			}
			_ = conn.Close()
		}
	}
}

// A service that answers before it has the whole body is heard at once.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	s := newService(t, "c1", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, 5))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_, _ = io.WriteString(w, "too large")
	})
	g := serve(t, start(t, forward.Config{}, s.url()), domain.Hop{Wait: patience})
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://")) //nolint:noctx // a test's own
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\nfirst", 50<<20)
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != 413 || string(said) != "too large" || err != nil {
		t.Errorf("%d %q %v", resp.StatusCode, said, err)
	}
}

func TestBodiesThatBreakOff(t *testing.T) {
	t.Parallel()
	s := newService(t, "c1", says("done"))
	f := start(t, forward.Config{}, s.url())
	g := serve(t, f, domain.Hop{})
	allReady(t, f, 1)
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://")) //nolint:noctx // a test's own
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf")
	_ = conn.Close()
	if err := g.outcome(t); err == nil || domain.KindOf(err) == domain.Unavailable {
		t.Errorf("%v", err)
	}
	allReady(t, f, 1) // it was not the service's fault
}

// Something that stands before a service, or in its place, is not believed whatever it says. Nobody is told to come back who may have been heard.
func TestForeignAnswers(t *testing.T) {
	t.Parallel()
	well := newService(t, "c2", says("well"))
	for name, answer := range map[string]struct {
		status int
		media  string
	}{
		"not found": {404, "text/html"}, "forbidden": {403, "application/json"}, "moved": {301, "text/html"}, "another service": {200, "application/json"},
		"bad gateway": {502, "text/html"}, "unavailable": {503, "application/json"}, "a stream": {200, "text/event-stream"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, "c1", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Del(domain.AnswerHeader)
				w.Header().Set("Content-Type", answer.media)
				w.Header().Set("Location", "http://elsewhere.example/")
				w.WriteHeader(answer.status)
				_, _ = io.WriteString(w, "<html>")
			})
			f := start(t, forward.Config{Now: standing()}, s.url()) // no pause of the breaker ends
			allReady(t, f, 1)
			g := serve(t, f, domain.Hop{})
			want(t, 503, "Service chat unavailable: something else answers in its place", http.MethodPost, g.URL, strings.NewReader("{}"), "X-Test-Whole", "1")
			var known *domain.Error
			if err := g.outcome(t); !errors.As(err, &known) || known.RetryAfter != 0 || s.asked.Load() != 1 {
				t.Errorf("%#v after %d attempts", known, s.asked.Load())
			}
			for range 20 {
				h := want(t, 503, "Service chat unavailable", http.MethodPost, g.URL, strings.NewReader("{}"))
				if h.Get("Location") != "" {
					t.Errorf("the client sees %v", h)
				}
			}
			if n := s.asked.Load(); n != 3 {
				t.Errorf("it was asked %d times, want as often as it takes to leave it alone", n)
			}
			both := serve(t, start(t, forward.Config{}, s.url(), well.url()), domain.Hop{})
			for range 20 {
				want(t, 200, "well", http.MethodGet, both.URL, nil)
			}
		})
	}
}

// Something else at the address of a service is found by probes, even if it says that it is ready.
func TestForeignProbes(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	foreign := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			asked.Add(1)
		}
	}))
	t.Cleanup(foreign.Close)
	f := start(t, forward.Config{Now: standing()}, foreign.URL)
	eventually(t, "it is known", func() bool {
		i := f.Instances(chat)
		return len(i) == 1 && i[0].Health.Status == domain.Unhealthy && i[0].Health.Detail == "Something else answers there"
	})
	g := serve(t, f, domain.Hop{})
	for range 20 {
		want(t, 503, "Service chat unavailable", http.MethodGet, g.URL, nil)
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("it was asked %d times", n)
	}
}

// A service that goes back to a build of before answers were marked is told from something else at the first answer: what it has carried out
// is not said to have failed.
func TestServicesThatGoBack(t *testing.T) {
	t.Parallel()
	s := newService(t, "c1", says("done"))
	s.server.SetKeepAlivesEnabled(false) // nothing tells the gateway that the process has ended
	f := start(t, forward.Config{ProbeInterval: time.Hour}, s.url())
	allReady(t, f, 1)
	s.down()
	s.older = true
	s.up(t)
	g := serve(t, f, domain.Hop{})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			status, _, said, err := call(t, http.MethodPost, g.URL, strings.NewReader("{}"))
			if status != 200 || said != "done" || err != nil {
				t.Errorf("%d %q %v", status, said, err)
			}
		})
	}
	wg.Wait()
	if n := s.asked.Load(); n != 20 {
		t.Errorf("it was asked %d times", n)
	}
}

// A process of before answers were marked is believed as it was then, as long as the one that it is.
func TestOlderServices(t *testing.T) {
	t.Parallel()
	var status atomic.Int64
	s := newService(t, "c1", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(int(status.Load()))
		_, _ = io.WriteString(w, "old")
	})
	s.down()
	s.older = true
	s.up(t)
	f := start(t, forward.Config{}, s.url())
	g := serve(t, f, domain.Hop{})
	allReady(t, f, 1)
	for _, code := range []int64{200, 404} {
		status.Store(code)
		want(t, int(code), "old", http.MethodPost, g.URL, strings.NewReader("{}"))
	}
	status.Store(502)
	want(t, 503, "something else answers in its place", http.MethodPost, g.URL, strings.NewReader("{}"))
}

func TestReadinessAndNews(t *testing.T) {
	t.Parallel()
	one, two := newService(t, "c1", says("one")), newService(t, "c2", says("two"))
	f := start(t, forward.Config{ProbeInterval: 20 * time.Millisecond}, one.url(), two.url())
	g := serve(t, f, domain.Hop{})
	allReady(t, f, 2)
	one.ready.Store(false)
	eventually(t, "it is known not to be ready", func() bool {
		i := f.Instances(chat)[0]
		return i.ID == "c1" && i.Health.Status == domain.Unhealthy && !i.Seen.IsZero()
	})
	for range 20 {
		want(t, 200, "two", http.MethodGet, g.URL, nil)
	}
	two.ready.Store(false)
	eventually(t, "neither is ready", func() bool { return f.Instances(chat)[1].Health.Status == domain.Unhealthy })
	want(t, 200, "", http.MethodGet, g.URL, nil) // they answer for themselves
	one.ready.Store(true)
	two.ready.Store(true)
	allReady(t, f, 2)
	f.Heard(chat, "c2", false)
	for range 20 {
		want(t, 200, "one", http.MethodGet, g.URL, nil)
	}
	f.Heard(chat, "c2", true)
	eventually(t, "it is back", func() bool {
		_, _, said, err := call(t, http.MethodGet, g.URL, nil)
		return err == nil && said == "two"
	})
	f.Heard(chat, "unknown", false)
	f.Heard(domain.ServiceAsset, "c1", false)
	want(t, 200, "", http.MethodGet, g.URL, nil)
}

func TestNamesAreLookedUpAgain(t *testing.T) {
	t.Parallel()
	one := newService(t, "c1", says("one"))
	port := hostOf(t, one.url()).Port()
	two := &service{id: "c2", handler: says("two"), address: fmt.Sprintf("127.0.0.2:%d", port)}
	two.ready.Store(true)
	two.up(t)
	t.Cleanup(two.down)
	var addresses atomic.Pointer[[]string]
	addresses.Store(&[]string{"127.0.0.1", "127.0.0.2"})
	f := start(t, forward.Config{LookupEvery: 10 * time.Millisecond, Lookup: func(context.Context, string) ([]string, error) {
		if a := *addresses.Load(); a != nil {
			return a, nil
		}
		return nil, errors.New("no answer")
	}}, fmt.Sprintf("http://chat-service:%d", port))
	g := serve(t, f, domain.Hop{})
	allReady(t, f, 2)
	heard := map[string]bool{}
	eventually(t, "both are used", func() bool {
		_, _, said, _ := call(t, http.MethodGet, g.URL, nil)
		heard[said] = true
		return len(heard) == 2
	})
	addresses.Store(&[]string{"127.0.0.2"})
	eventually(t, "one is gone", func() bool { return len(f.Instances(chat)) == 1 })
	for range 10 {
		want(t, 200, "two", http.MethodGet, g.URL, nil)
	}
	addresses.Store(new([]string))
	time.Sleep(50 * time.Millisecond) // look-ups that fail take nothing away; none has to have happened
	want(t, 200, "two", http.MethodGet, g.URL, nil)
}

// A name that can't be looked up holds nobody up who wants one of the others, neither at first nor when that one moves.
func TestNamesAreLookedUpBesideEachOther(t *testing.T) {
	t.Parallel()
	one := newService(t, "c1", says("one"))
	port := hostOf(t, one.url()).Port()
	two := &service{id: "c2", handler: says("two"), address: fmt.Sprintf("127.0.0.3:%d", port)}
	two.ready.Store(true)
	two.up(t)
	t.Cleanup(two.down)
	var here atomic.Value
	here.Store("127.0.0.1")
	f := start(t, forward.Config{LookupEvery: time.Minute, Lookup: func(ctx context.Context, host string) ([]string, error) {
		if host == "hangs" {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return []string{here.Load().(string)}, nil
	}}, fmt.Sprintf("http://hangs:%d", port), fmt.Sprintf("http://here:%d", port))
	g := serve(t, f, domain.Hop{Wait: patience})
	want(t, 200, "one", http.MethodPost, g.URL, strings.NewReader("{}"))
	here.Store("127.0.0.3")
	f.Heard(chat, "unknown", true) // which has names looked up again
	eventually(t, "the other address is used", func() bool {
		_, _, said, err := call(t, http.MethodGet, g.URL, nil)
		return err == nil && said == "two"
	})
}

func TestLoadIsSpread(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	slow := newService(t, "c1", func(w http.ResponseWriter, r *http.Request) { <-hold; says("slow")(w, r) })
	fast := []*service{newService(t, "c2", says("fast")), newService(t, "c3", says("fast"))}
	f := start(t, forward.Config{}, slow.url(), fast[0].url(), fast[1].url())
	g := serve(t, f, domain.Hop{Wait: 2 * patience})
	allReady(t, f, 3)
	done := make(chan struct{}, 300)
	for range 300 {
		go func() {
			_, _, _, _ = call(t, http.MethodGet, g.URL, nil)
			done <- struct{}{}
		}()
		if n := fast[0].asked.Load() + fast[1].asked.Load() + slow.asked.Load(); n > 250 {
			break
		}
	}
	eventually(t, "all but those that are held are done", func() bool {
		return slow.asked.Load()+fast[0].asked.Load()+fast[1].asked.Load() >= 250
	})
	if n := slow.asked.Load(); n > 100 {
		t.Errorf("the one that answers nothing got %d of 300", n)
	}
	close(hold)
	if a, b := fast[0].asked.Load(), fast[1].asked.Load(); a < 50 || b < 50 {
		t.Errorf("the others got %d and %d", a, b)
	}
}

func TestRetriesAreRationed(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	bad := func() string {
		return perRequest(t, func(conn *net.TCPConn, _ *http.Request) bool {
			if asked.Add(1)%2 == 0 { // or it would be left alone
				_, _ = io.WriteString(conn, head+"Content-Length: 0\r\n\r\n")
				return true
			}
			reset(conn)
			return false
		})
	}
	g := serve(t, start(t, forward.Config{Retries: 5, RetryDelay: time.Millisecond}, bad()), domain.Hop{})
	const requests = 300
	for range requests {
		_, _, _, _ = call(t, http.MethodGet, g.URL, nil)
	}
	if n := asked.Load(); n > requests*13/10+25 {
		t.Errorf("%d attempts for %d requests", n, requests)
	}
}

// What a client says in a header does not have net/http send a request again: on a kept connection whose service takes a request and dies, it is
// not carried out twice.
func TestHeadersOfClientsRepeatNothing(t *testing.T) {
	t.Parallel()
	for _, header := range []string{"X-Other", "Idempotency-Key", "X-Idempotency-Key"} {
		for _, body := range []string{"{}", ""} {
			t.Run(header+body, func(t *testing.T) {
				t.Parallel()
				var posts atomic.Int64
				target := perRequest(t, func(conn *net.TCPConn, r *http.Request) bool {
					_, _ = io.Copy(io.Discard, r.Body)
					if r.Method == http.MethodPost && posts.Add(1) == 1 {
						return false
					}
					_, _ = io.WriteString(conn, head+"Content-Length: 4\r\n\r\nwell")
					return true
				})
				f := start(t, forward.Config{ProbeInterval: time.Hour}, target)
				g := serve(t, f, domain.Hop{Wait: patience})
				allReady(t, f, 1)
				want(t, 200, "well", http.MethodGet, g.URL, nil) // there is a kept connection now
				want(t, 503, "Service chat unavailable", http.MethodPost, g.URL, strings.NewReader(body), "X-Test-Whole", "1", header, "k")
				if n := posts.Load(); n != 1 {
					t.Errorf("the service got it %d times", n)
				}
			})
		}
	}
}

// A client that waits to be told to go on is told so here; the service would never say it of a request without a body.
func TestExpectationsEndAtTheGateway(t *testing.T) {
	t.Parallel()
	s := newService(t, "c1", func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprintf(w, "%q", r.Header["Expect"]) })
	g := serve(t, start(t, forward.Config{}, s.url()), domain.Hop{Wait: patience})
	want(t, 200, "[]", http.MethodPost, g.URL, strings.NewReader("{}"), "X-Test-Whole", "1", "Expect", "100-continue")
	want(t, 200, "[]", http.MethodGet, g.URL, nil, "Expect", "100-continue")
}

// A service that does not believe the gateway says nothing about the client. It is asked again with a fresh signature, for nothing was carried
// out; in the end the client hears that the service can't be had, and the log says why.
func TestRefusedSignatures(t *testing.T) {
	t.Parallel()
	var signed, refusals atomic.Int64
	newSignature := func(domain.Forwarded, string) (string, error) { return fmt.Sprint(signed.Add(1)), nil }
	refuse := func(w http.ResponseWriter) {
		refusals.Add(1)
		w.Header().Set(domain.RefusedHeader, "signature")
		w.Header().Set("WWW-Authenticate", "Bearer")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
	}
	var log lines
	one := newService(t, "c1", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(domain.ForwardedHeader) == "1" {
			refuse(w) // it stood still, and the signature is too old now
			return
		}
		says("well")(w, r)
	})
	g := serve(t, start(t, forward.Config{Sign: newSignature, Logger: log.logger()}, one.url()), domain.Hop{Wait: patience})
	want(t, 200, "well", http.MethodPost, g.URL, strings.NewReader("{}"), "X-Test-Whole", "1") // which nobody may repeat
	if n := refusals.Load(); n != 1 {
		t.Errorf("refused %d times", n)
	}

	never := newService(t, "c2", func(w http.ResponseWriter, _ *http.Request) { refuse(w) })
	alone := serve(t, start(t, forward.Config{Sign: newSignature, Logger: log.logger()}, never.url()), domain.Hop{Wait: patience})
	for range 5 {
		h := want(t, 503, "Service chat unavailable", http.MethodPost, alone.URL, strings.NewReader("{}"), "X-Test-Whole", "1")
		if h.Get("WWW-Authenticate") != "" || h.Get(domain.RefusedHeader) != "" {
			t.Errorf("the client sees %v", h)
		}
		var known *domain.Error
		if err := alone.outcome(t); !errors.As(err, &known) || known.RetryAfter == 0 {
			t.Errorf("nothing was carried out: %#v", known)
		}
	}
	if c := g.forwarder.Stats()[chat]; c.Requests != 1 || c.Retries != 1 || c.Refused != 1 {
		t.Errorf("%+v", c)
	}
	if told := log.count("level=ERROR"); told == 0 || told > 2 {
		t.Errorf("%d errors in the log", told)
	}

	// What is left of two is used.
	two := serve(t, start(t, forward.Config{Sign: newSignature, Logger: log.logger()}, never.url(), one.url()), domain.Hop{Wait: patience})
	for range 30 {
		want(t, 200, "well", http.MethodPost, two.URL, strings.NewReader("{}"), "X-Test-Whole", "1")
	}
}

// A body that has been read can't be sent again, though the service did not take it.
func TestRefusedSignatureOfAnUpload(t *testing.T) {
	t.Parallel()
	s := newService(t, "c1", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set(domain.RefusedHeader, "signature")
		w.WriteHeader(http.StatusUnauthorized)
	})
	g := serve(t, start(t, forward.Config{}, s.url()), domain.Hop{Wait: patience})
	want(t, 503, "Service chat unavailable", http.MethodPost, g.URL, strings.NewReader("{}"))
	if n := s.asked.Load(); n != 1 {
		t.Errorf("it was sent %d times", n)
	}
}

// The server closes idle connections just when requests go out on them, a thousand times and while it restarts. What must not be carried out
// twice is never carried out twice.
func TestKeepAliveRace(t *testing.T) {
	t.Parallel()
	counts := make([]atomic.Int64, 1000)
	s := newService(t, "c1", func(w http.ResponseWriter, r *http.Request) {
		var i int
		if _, err := fmt.Fscanf(r.Body, "%d", &i); err == nil {
			counts[i].Add(1)
		}
		says("done")(w, r)
	})
	f := start(t, forward.Config{ProbeInterval: 10 * time.Millisecond}, s.url())
	g := serve(t, f, domain.Hop{Wait: patience})
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			s.mu.Lock()
			server := s.server
			s.mu.Unlock()
			server.SetKeepAlivesEnabled(false) // closes those that are idle
			server.SetKeepAlivesEnabled(true)
			if n%50 == 0 {
				s.down()
				s.up(t)
			}
			time.Sleep(time.Millisecond)
		}
	}()
	answered, refused := 0, 0
	for i := range counts {
		status, _, said, err := call(t, http.MethodPost, g.URL, strings.NewReader(fmt.Sprint(i)), "X-Test-Whole", "1")
		n := counts[i].Load()
		switch {
		case err == nil && status == 200 && said == "done":
			answered++
			if n != 1 {
				t.Errorf("request %d was answered and carried out %d times", i, n)
			}
		case err == nil && status == 503:
			refused++
		case err != nil && s != nil:
			refused++ // its answer was cut off
		default:
			t.Errorf("request %d: %d %q", i, status, said)
		}
		if n > 1 {
			t.Errorf("request %d was carried out %d times", i, n)
		}
	}
	close(stop)
	<-stopped
	t.Logf("%d answered, %d refused", answered, refused)
	if answered < 100 {
		t.Errorf("only %d of %d were answered", answered, len(counts))
	}
}

// Against a server that goes down in between, what may be repeated always gets its answer from the other one.
func TestOneOfTwoIsKilled(t *testing.T) {
	t.Parallel()
	one, two := newService(t, "c1", says("well")), newService(t, "c2", says("well"))
	f := start(t, forward.Config{Retries: 3}, one.url(), two.url())
	g := serve(t, f, domain.Hop{Wait: patience})
	allReady(t, f, 2)
	for i := range 300 {
		if i%60 == 30 {
			one.down()
		}
		if i%60 == 50 {
			one.up(t)
		}
		want(t, 200, "well", http.MethodGet, g.URL, nil)
	}
}

func TestConfigs(t *testing.T) {
	t.Parallel()
	if _, err := forward.New(forward.Config{}); err == nil {
		t.Error("nothing signs")
	}
	for _, target := range []string{"chat:8003", "ftp://chat", "http://", "http://u:p@chat", "http://chat?x=1", "http://chat:port"} {
		if f, err := forward.New(forward.Config{Sign: sign, Targets: map[domain.Service][]string{chat: {target}}}); err == nil {
			f.Close()
			t.Errorf("%s is taken", target)
		} else if strings.Contains(err.Error(), "u:p") {
			t.Errorf("a password is told: %v", err)
		}
	}
	if _, err := forward.New(forward.Config{Sign: sign, Targets: map[domain.Service][]string{chat: nil}}); err == nil {
		t.Error("no address")
	}
	f := start(t, forward.Config{Sign: func(domain.Forwarded, string) (string, error) { return "", errors.New("no secret") }}, newService(t, "c1", says("")).url())
	g := serve(t, f, domain.Hop{})
	_, _, _, _ = call(t, http.MethodGet, g.URL, nil)
	if err := g.outcome(t); domain.KindOf(err) != domain.Internal {
		t.Errorf("%v", err)
	}
}
