package upstream

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"
)

// Key is what callers have to show.
const Key = "sk-test-upstream"

// Server is a provider. Close it.
type Server struct {
	*httptest.Server
	mu      sync.Mutex
	scripts map[string][]Script
	answers func(body map[string]any) Script // nil: scripts
	served  []*Served
	hungUp  chan *Served
	changed chan struct{}
}

// Served is the entry of one request in the books.
type Served struct {
	Model     string
	Path      string
	Header    http.Header
	Body      map[string]any
	Status    int
	Prompt    int // tokens that were reported
	Sent      int // tokens that were sent
	Reported  bool
	Finished  bool // sent to the end
	HungUp    bool // the client left before
	Came      time.Time
	Ended     time.Time // zero while it goes on
	SentBytes int64
}

// New starts a provider.
func New() *Server {
	s := &Server{scripts: map[string][]Script{}, hungUp: make(chan *Served, 1024), changed: make(chan struct{})}
	s.Server = httptest.NewServer(s)
	return s
}

// OpenAI is the base URL for OpenAI's clients, Anthropic that for Anthropic's.
func (s *Server) OpenAI() string    { return s.URL + "/v1" }
func (s *Server) Anthropic() string { return s.URL }

// Plays sets what the next requests for a model get, one script each; the last one stays.
func (s *Server) Plays(model string, scripts ...Script) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scripts[model] = scripts
}

// Answers sets what decides about every answer from now on: a prompt that comes twice gets the same one.
func (s *Server) Answers(answers func(body map[string]any) Script) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = answers
}

// Books returns what was served so far, in the order in which requests came.
func (s *Server) Books() []Served {
	s.mu.Lock()
	defer s.mu.Unlock()
	books := make([]Served, len(s.served))
	for i, e := range s.served {
		books[i] = *e
	}
	return books
}

// HungUp tells of each client who left before the end.
func (s *Server) HungUp() <-chan *Served { return s.hungUp }

// Changed returns a channel that is closed when the books change.
func (s *Server) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// edit changes an entry of the books.
func (s *Server) edit(e *Served, change func(*Served)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(e)
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Server) open(r *http.Request) (*Served, Script, error) {
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return nil, Script{}, err
	}
	_, _ = io.Copy(io.Discard, r.Body) // only a server that has read all notices a client that leaves
	model, _ := body["model"].(string)
	e := &Served{Model: model, Path: r.URL.Path, Header: r.Header.Clone(), Body: body, Status: http.StatusOK, Came: time.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.served = append(s.served, e)
	if s.answers != nil {
		return e, s.answers(body), nil
	}
	var script Script
	if list := s.scripts[model]; len(list) > 0 {
		script = list[0]
		if len(list) > 1 {
			s.scripts[model] = list[1:]
		}
	}
	return e, script, nil
}

// ServeHTTP answers a prompt.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var wire wire
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/v1/chat/completions" && r.Header.Get("Authorization") == "Bearer "+Key:
		wire = &openAIWire{}
	case r.Method == http.MethodPost && r.URL.Path == "/v1/messages" && r.Header.Get("X-Api-Key") == Key:
		wire = &anthropicWire{}
	default:
		(&openAIWire{}).refuse(w, http.StatusUnauthorized, "invalid_api_key", "")
		return
	}
	e, script, err := s.open(r)
	if err != nil {
		wire.refuse(w, http.StatusBadRequest, "invalid_request_error", "")
		return
	}
	a := &answer{server: s, script: script, wire: wire, entry: e, w: w, r: r}
	defer func() {
		s.edit(e, func(e *Served) { e.Ended = time.Now() })
		if e.HungUp {
			s.hungUp <- e
		}
	}()
	err = a.play()
	switch {
	case errors.Is(err, errLeft):
		s.edit(e, func(e *Served) { e.HungUp = true })
	case errors.Is(err, errCut):
		panic(http.ErrAbortHandler)
	}
}
