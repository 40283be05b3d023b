package httpapi

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"gaia/domain"
)

// TestLongOperations: names in code have to be those of the contract, as it is embedded.
func TestLongOperations(t *testing.T) {
	t.Parallel()
	var long, logouts int
	for _, op := range loadContract(t) {
		if takesLong(op) {
			long++
		}
		if op.ID == "V1Logout" {
			logouts++
		}
	}
	if long != 6 || logouts != 1 { // four chats, a generation and an upload
		t.Errorf("%d operations take long, and %d are logouts", long, logouts)
	}
}

// TestGatewayForgetsKeys: whatever a service has done to a key, or may have done, this process forgets before the caller can know. Where
// nothing was done it remembers.
func TestGatewayForgetsKeys(t *testing.T) {
	t.Parallel()
	for about, c := range map[string]struct {
		status int // of the service; 0: there is no answer
		want   []bool
	}{
		"done": {200, []bool{true}}, "refused": {404, nil}, "a fault": {500, []bool{false}}, "away": {503, []bool{false}}, "no answer": {0, []bool{false}},
	} {
		var told []bool
		config := Config{
			Hosts: []domain.Service{domain.ServiceGateway}, KeysChanged: func(certain bool) { told = append(told, certain) },
			Forward: func(w http.ResponseWriter, _ *http.Request, _ domain.Hop) error {
				if c.status == 0 {
					return domain.MissingPart("Service auth unavailable", nil)
				}
				w.WriteHeader(c.status)
				if c.status == http.StatusOK && len(told) == 0 {
					t.Errorf("%s: the caller could know first", about)
				}
				return nil
			},
		}
		op := loadContract(t)["DELETE /api/v1/auth/api-keys/{key_id}"]
		w := httptest.NewRecorder()
		config.forward(op, func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusServiceUnavailable) })(
			w, httptest.NewRequest(http.MethodDelete, "/api/v1/auth/api-keys/x", http.NoBody))
		if !slices.Equal(told, c.want) {
			t.Errorf("%s: told %v, want %v", about, told, c.want)
		}
	}
}

// TestBodiesAreLetGo: a body can be read again until a stream begins, and is not kept for as long as that lasts.
func TestBodiesAreLetGo(t *testing.T) {
	t.Parallel()
	const sent = `{"message":"Hello"}`
	op := loadContract(t)["POST /api/v0.2/chat/stream"]
	var after string
	config := Config{Hosts: []domain.Service{domain.ServiceGateway}, Forward: func(w http.ResponseWriter, r *http.Request, _ domain.Hop) error {
		for _, body := range []io.Reader{r.Body, again(t, r), again(t, r)} {
			if got, err := io.ReadAll(body); err != nil || string(got) != sent {
				t.Errorf("%q, %v", got, err)
			}
		}
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		got, _ := io.ReadAll(again(t, r))
		after = string(got)
		return nil
	}}
	fail := func(_ http.ResponseWriter, _ *http.Request, err error) { t.Error(err) }
	r := httptest.NewRequest(http.MethodPost, "/api/v0.2/chat/stream", strings.NewReader(sent))
	r.Header.Set("Content-Type", "application/json")
	receive(op, gate{}, fail)(config.forward(op, fail)).ServeHTTP(httptest.NewRecorder(), r)
	if after != "" {
		t.Errorf("%q is kept", after)
	}
}

func again(t *testing.T, r *http.Request) io.Reader {
	t.Helper()
	body, err := r.GetBody()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// TestSessionsEndWhenTheyHaveEnded: who could not be signed out has to be let in to try again.
func TestSessionsEndWhenTheyHaveEnded(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]int{200: 1, 400: 0, 500: 0, 503: 0} {
		ended := 0
		config := Config{
			Hosts:     []domain.Service{domain.ServiceGateway},
			SignedOut: func(context.Context, string) error { ended++; return nil },
			Forward:   func(w http.ResponseWriter, _ *http.Request, _ domain.Hop) error { w.WriteHeader(status); return nil },
		}
		config.forward(loadContract(t)["POST /api/v1/auth/logout"], nil)(
			httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/api/v1/auth/logout", http.NoBody))
		if ended != want {
			t.Errorf("after %d: %d sessions ended, want %d", status, ended, want)
		}
	}
}

// TestFeedsThatBeginAsTheProcessStopsBegin: a gateway that stops ends feeds first, but what a service has not answered yet is no feed. It
// begins, and then ends as feeds do.
func TestFeedsThatBeginAsTheProcessStopsBegin(t *testing.T) {
	t.Parallel()
	stopping := make(chan struct{})
	config := Config{Hosts: []domain.Service{domain.ServiceGateway}, Stopping: stopping, Forward: func(w http.ResponseWriter, r *http.Request, _ domain.Hop) error {
		close(stopping)
		select {
		case <-r.Context().Done():
			t.Error("the request ended before it was answered")
		case <-time.After(20 * time.Millisecond): // what must not happen has no moment
		}
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		<-r.Context().Done()
		return r.Context().Err()
	}}
	answer := httptest.NewRecorder()
	rec, r := record(answer, httptest.NewRequest(http.MethodGet, "/api/v1/workflows/x/events", http.NoBody))
	failed := func(w http.ResponseWriter, _ *http.Request, err error) { t.Errorf("refused: %v", err) }
	config.forward(loadContract(t)["GET /api/v1/workflows/{workflow_id}/events"], failed)(rec, r)
	if body := answer.Body.String(); answer.Code != http.StatusOK || !strings.Contains(body, `"type":"interrupted"`) {
		t.Errorf("got %d %q", answer.Code, body)
	}
}
