package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"gaia/tests/gaiatest"
	"gaia/tests/upstream"
)

// How often processes are told to stop in TestEveryStreamEndsWhenItsProcessStops: 200 times in all.
const (
	lanesOfStops = 4 // for each backend
	stopsOfALane = 25
)

// asked is one request of somebody of their own, whose process may be told to stop at any moment.
type asked struct {
	about, path, body string
	header            map[string]string
	stream            bool

	user   string
	status int    // 0: refused when it wanted to connect
	answer []byte // as far as it came
	err    error
}

// asks are requests of all kinds.
func asks() []*asked {
	chat := `{"message":"Say something"}`
	streamed := `{"message":"Say something","stream":true}`
	return []*asked{
		{about: "chunks", path: "/api/v1/chat/completions", body: streamed, stream: true},
		{about: "chunks, keyed", path: "/api/v1/chat", body: streamed, stream: true, header: map[string]string{"Idempotency-Key": "k"}},
		{about: "typed events", path: typedRoute, body: chat, stream: true},
		{about: "UI messages", path: "/api/v0.2/chat", body: chat, stream: true, header: map[string]string{"X-Vercel-Ai-Ui-Message-Stream": "v1"}},
		{about: "one piece", path: "/api/v1/chat", body: chat},
		{about: "one piece, keyed", path: "/api/v0.2/chat", body: chat, header: map[string]string{"Idempotency-Key": "k"}},
		{about: "quick", path: "/api/v0.2/personas"},
		{about: "upload", path: "/api/v1/assets/upload"},
	}
}

// send sends the request on a connection of its own.
func (a *asked) send(t *testing.T, url string) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	method, body := http.MethodPost, io.Reader(strings.NewReader(a.body))
	kind := "application/json"
	switch a.about {
	case "quick":
		method, body = http.MethodGet, nil
	case "upload":
		kind, body = slowUpload(a.user)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url+a.path, body)
	if err != nil {
		a.err = err
		return
	}
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Authorization", "Bearer "+gaiatest.Token(t, a.user))
	for k, v := range a.header {
		req.Header.Set(k, v)
	}
	resp, err := client.Do(req)
	if err != nil {
		a.err = err
		return
	}
	defer resp.Body.Close()
	a.status = resp.StatusCode
	a.answer, a.err = io.ReadAll(resp.Body)
	if a.status == http.StatusServiceUnavailable && (resp.Header.Get("Retry-After") == "") != a.unknown() {
		a.err = errors.New("503 without Retry-After, or with one although nobody knows the outcome")
	}
}

// unknown reports whether the answer is that nobody knows whether the request was carried out.
func (a *asked) unknown() bool {
	return bytes.Contains(a.answer, []byte(`"error_type":"outcome_unknown"`))
}

// slowUpload is a form whose picture comes in pieces, for half a second.
func slowUpload(title string) (kind string, body io.Reader) {
	const pieces = 10
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 32, 32))); err != nil {
		panic(err) // a buffer takes everything
	}
	size := picture.Len()/pieces + 1
	read, write := io.Pipe()
	form := multipart.NewWriter(write)
	go func() {
		err := errors.Join(form.WriteField("title", title), form.WriteField("category", "texture"))
		file, fault := form.CreateFormFile("file", "a.png")
		for err = errors.Join(err, fault); err == nil && picture.Len() > 0; {
			time.Sleep(50 * time.Millisecond)
			_, err = file.Write(picture.Next(size))
		}
		_ = write.CloseWithError(errors.Join(err, form.Close()))
	}()
	return form.FormDataContentType(), read
}

// verdict says how the request ended: "finished", "ended" with a typed error, "unknown" when that says so of the outcome, "refused", or what is
// wrong.
func (a *asked) verdict() string {
	switch {
	case a.status == 0 && isRefused(a.err):
		return "refused"
	case a.err != nil:
		return fmt.Sprintf("wrong: %d, %v, after %q", a.status, a.err, tailOf(a.answer))
	case a.status == http.StatusServiceUnavailable && json.Valid(a.answer) && a.unknown():
		return "unknown"
	case a.status == http.StatusServiceUnavailable && json.Valid(a.answer):
		return "ended"
	case !a.stream && a.status < http.StatusMultipleChoices && json.Valid(a.answer):
		return "finished"
	case a.stream && a.status == http.StatusOK && bytes.HasSuffix(a.answer, []byte("data: [DONE]\n\n")):
		return a.lastWord()
	default:
		return fmt.Sprintf("wrong: %d, %q", a.status, tailOf(a.answer))
	}
}

// lastWord says whether a stream ended with a finish or with an error, of which it must have one.
func (a *asked) lastWord() string {
	failed := bytes.Contains(a.answer, []byte("shutting down"))
	finished := false
	for _, sign := range []string{`"finish_reason":"stop"`, `"type":"metadata"`, `"type":"finish"`} {
		finished = finished || bytes.Contains(a.answer, []byte(sign))
	}
	switch {
	case finished && !failed:
		return "finished"
	case failed && !finished:
		return "ended"
	default:
		return fmt.Sprintf("wrong: neither a finish nor an error, or both: %q", tailOf(a.answer))
	}
}

func tailOf(b []byte) []byte { return b[max(0, len(b)-400):] }

// isRefused reports whether a server was not there any more: it let nobody connect, or closed its door at this very moment, which writers
// learn as a broken pipe when somebody has read that the connection was reset. Nobody has read anything of the request then: addsUp looks.
func isRefused(err error) bool {
	var op *net.OpError
	return errors.Is(err, syscall.ECONNREFUSED) || (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)) && errors.As(err, &op)
}

// TestEveryStreamEndsWhenItsProcessStops: whatever a process is doing when it is told to stop, nobody is left with half an answer.
func TestEveryStreamEndsWhenItsProcessStops(t *testing.T) {
	t.Parallel()
	var (
		mu     sync.Mutex
		counts = map[string]int{}
	)
	provider, settings := startUpstream(t)
	provider.Plays("gpt-4o-mini", upstream.Script{Between: 10 * time.Millisecond, Tokens: 60})
	settings["SHUTDOWN_TIMEOUT"], settings["LOG_LEVEL"] = "0.4", "INFO"
	t.Run("lanes", func(t *testing.T) {
		full := gaiatest.Full(t)
		for lane := range 2 * lanesOfStops {
			b := full
			if lane%2 == 0 {
				b = gaiatest.Embedded(t)
			}
			t.Run(fmt.Sprint(b.Name, lane/2), func(t *testing.T) {
				t.Parallel()
				server := b.Start(t, settings)
				for range stopsOfALane {
					round := stopUnderLoad(t, server)
					server.Restart()
					for _, a := range round {
						v := a.verdict()
						mu.Lock()
						counts[a.about+" "+strings.SplitN(v, ":", 2)[0]]++
						mu.Unlock()
						if strings.HasPrefix(v, "wrong") {
							t.Errorf("%s: %s", a.about, v)
							continue
						}
						addsUp(t, server, a, v)
					}
					if t.Failed() {
						return
					}
				}
			})
		}
	})
	t.Logf("%d stops: %v", 2*lanesOfStops*stopsOfALane, counts)
}

// stopUnderLoad has a server stop at some moment while it is asked, and returns when it has ended.
func stopUnderLoad(t *testing.T, server *gaiatest.Server) []*asked {
	t.Helper()
	round := asks()
	var clients sync.WaitGroup
	for _, a := range round {
		a.user = uuid.NewString()
		pause := rand.N(200 * time.Millisecond)
		clients.Go(func() {
			time.Sleep(pause)
			a.send(t, server.URL())
		})
	}
	time.Sleep(rand.N(900 * time.Millisecond))
	server.Terminate()
	if err := server.Wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	clients.Wait()
	return round
}

// addsUp looks at what a request has left behind: a whole answer once, what there was of one that was streamed, nothing else.
func addsUp(t *testing.T, server *gaiatest.Server, a *asked, verdict string) {
	t.Helper()
	c := server.As(a.user)
	switch a.about {
	case "quick":
		return
	case "upload":
		stored := c.Get("/api/v1/assets/search?query=" + a.user).Want(http.StatusOK).JSON().Number("total_count")
		if finished := verdict == "finished"; finished && stored != 1 || !finished && stored != 0 && (verdict != "unknown" || stored != 1) {
			t.Errorf("upload: %s, %d, %s, and %v assets are stored", verdict, a.status, tailOf(a.answer), stored)
		}
		return
	}
	count := func() float64 {
		return c.Get("/api/v1/chat/status").Want(http.StatusOK).JSON().Number("message_count")
	}
	n := count()
	keyed := a.header["Idempotency-Key"] != ""
	switch {
	case verdict == "finished" && n != 2, verdict == "refused" && n != 0, verdict == "ended" && !a.stream && !keyed && n != 0, n != 0 && n != 2:
		t.Errorf("%s: %s, and %v messages are stored", a.about, verdict, n)
	}
	if !keyed {
		return
	}
	again := *a
	again.status, again.answer, again.err = 0, nil, nil
	again.header = map[string]string{"Idempotency-Key": "k", "Last-Event-ID": "2"}
	again.send(t, server.URL())
	if got := again.verdict(); got != "finished" {
		t.Errorf("%s: %s, and asked again: %s", a.about, verdict, got)
	}
	if after := count(); after < 2 || after > 4 || verdict == "finished" && after != 2 || !a.stream && after != 2 {
		t.Errorf("%s: %s, then asked again: %v messages, before that %v", a.about, verdict, after, n)
	}
}

// TestASecondSignalEndsAtOnce: whoever does not want to wait does not have to.
func TestASecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	provider, settings := startUpstream(t)
	provider.Plays("gpt-4o-mini", upstream.Script{Between: 100 * time.Millisecond, Tokens: 600})
	settings["SHUTDOWN_TIMEOUT"] = "50"
	server := gaiatest.Start(t, settings)
	stream := server.As(uuid.NewString()).Stream(t.Context(), typedRoute, message("Take your time"))
	defer stream.Close()
	if _, err := stream.Next(); err != nil {
		t.Fatal(err)
	}
	server.Terminate()
	gaiatest.Eventually(t, patience, "the server stops", func() bool { return strings.Contains(server.Output(), `"stopping"`) })
	server.Terminate()
	if err := server.Wait(); err == nil {
		t.Error("the second signal was taken for nothing")
	}
}

// TestAServiceThatStopsBehindItsGateway: clients of the gateway get an end of what that service was doing for them, and the other process of
// it does the rest. Then the gateway stops, and that is no different: nobody is told to send again what the processes of assets and of chat have
// stored. A gateway that tells everybody so, and waits for nobody, shows here as "one piece: ended, and 2 messages are stored".
func TestAServiceThatStopsBehindItsGateway(t *testing.T) {
	t.Parallel()
	provider, settings := startUpstream(t)
	provider.Plays("gpt-4o-mini", upstream.Script{Between: 10 * time.Millisecond, Tokens: 60})
	settings["SHUTDOWN_TIMEOUT"], settings["INTERNAL_AUTH_SECRET"] = "0.4", "a-secret-between-services-of-tests"
	b := gaiatest.Full(t)
	chats := []*gaiatest.Server{
		b.Start(t, settings, gaiatest.Settings{"SERVICES": "chat"}), b.Start(t, settings, gaiatest.Settings{"SERVICES": "chat"}),
	}
	assets := b.Start(t, settings, gaiatest.Settings{"SERVICES": "asset"})
	gateway := b.Start(t, settings, gaiatest.Settings{
		"SERVICES": "gateway,auth", "ASSET_SERVICE_URL": assets.URL(), "CHAT_SERVICE_URL": chats[0].URL() + "," + chats[1].URL(),
	})
	judge := func(about string, round []*asked, allowed ...string) {
		t.Helper()
		counts := map[string]int{}
		for _, a := range round {
			v := a.verdict()
			counts[a.about+" "+v]++
			if !slices.Contains(allowed, v) {
				t.Errorf("%s: %s: %s", about, a.about, v)
			}
		}
		t.Logf("%s: %v", about, counts)
	}
	judge("a process of chat stops", stopWhileAsked(t, gateway, chats[0]), "finished", "ended")
	judge("it has gone", stopWhileAsked(t, gateway, nil), "finished")
	round := stopWhileAsked(t, gateway, gateway)
	judge("the gateway stops", round, "finished", "ended", "unknown", "refused")
	gateway.Restart()
	for _, a := range round {
		addsUp(t, gateway, a, a.verdict())
	}
}

// stopWhileAsked has one process stop while another is asked.
func stopWhileAsked(t *testing.T, server, stops *gaiatest.Server) []*asked {
	t.Helper()
	round := slices.Concat(asks(), asks(), asks())
	var clients sync.WaitGroup
	for _, a := range round {
		a.user = uuid.NewString()
		pause := rand.N(600 * time.Millisecond)
		clients.Go(func() {
			time.Sleep(pause)
			a.send(t, server.URL())
		})
	}
	if stops != nil {
		time.Sleep(300 * time.Millisecond)
		stops.Terminate()
		if err := stops.Wait(); err != nil {
			t.Errorf("the process ended with %v", err)
		}
	}
	clients.Wait()
	return round
}
