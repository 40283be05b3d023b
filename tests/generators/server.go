package generators

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"
)

// Key is what every service takes.
const Key = "a-key-for-generators"

// Server is all the services at one address.
type Server struct {
	Work time.Duration // the longest that a call or a task takes; what it takes is random

	web  *httptest.Server
	stop chan struct{}

	mu    sync.Mutex
	tasks map[string]*task
	order []string       // ids of tasks, as they came
	paid  map[string]int // orders that cost money, by what was ordered
	calls int
	rings sync.WaitGroup
}

// task is one order that is worked on.
type task struct {
	id, mode, prompt, state, notify string

	began, ready time.Time
}

// New starts the services.
func New(work time.Duration) *Server {
	s := &Server{Work: work, tasks: map[string]*task{}, paid: map[string]int{}, stop: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /openapi/v2/text-to-3d", s.orderModel)
	mux.HandleFunc("GET /openapi/v2/text-to-3d", s.listModels)
	mux.HandleFunc("GET /openapi/v2/text-to-3d/{id}", s.showModel)
	mux.HandleFunc("POST /mj/submit/imagine", s.orderPicture)
	mux.HandleFunc("POST /mj/submit/change", s.changePicture)
	mux.HandleFunc("GET /mj/task/list", s.listPictures)
	mux.HandleFunc("GET /mj/task/{id}/fetch", s.showPicture)
	mux.HandleFunc("POST /v1/images/generations", s.makeImage)
	mux.HandleFunc("GET /files/model.glb", func(w http.ResponseWriter, _ *http.Request) { s.send(w, GLB()) })
	mux.HandleFunc("GET /files/picture.png", func(w http.ResponseWriter, _ *http.Request) { s.send(w, PNG()) })
	s.web = httptest.NewServer(mux)
	return s
}

// Close stops them.
func (s *Server) Close() {
	close(s.stop)
	s.rings.Wait()
	s.web.CloseClientConnections()
	s.web.Close()
}

// URL is where they are.
func (s *Server) URL() string { return s.web.URL }

// Paid returns how often each order was paid.
func (s *Server) Paid() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	paid := make(map[string]int, len(s.paid))
	for what, n := range s.paid {
		paid[what] = n
	}
	return paid
}

// Calls returns how many orders and questions came.
func (s *Server) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// pay takes an order, in the moment from which on it costs money.
func (s *Server) pay(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	s.paid[what]++
}

// begin makes a task of an order.
func (s *Server) begin(mode, prompt, state, notify string) string {
	s.pay(mode + " " + prompt)
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &task{
		id: fmt.Sprintf("%s-%06d", mode, len(s.order)+1), mode: mode, prompt: prompt, state: state, notify: notify,
		began: now, ready: now.Add(rand.N(s.Work + 1)),
	}
	s.tasks[t.id] = t
	s.order = append(s.order, t.id)
	return t.id
}

func (s *Server) find(id string) (task, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if t := s.tasks[id]; t != nil {
		return *t, true
	}
	return task{}, false
}

// all returns the tasks whose mode is wanted, the latest first.
func (s *Server) all(wanted func(mode string) bool) []task {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	var all []task
	for i := len(s.order) - 1; i >= 0; i-- {
		if t := s.tasks[s.order[i]]; wanted(t.mode) {
			all = append(all, *t)
		}
	}
	return all
}

// progress is in percent.
func (t task) progress(now time.Time) int {
	if whole := t.ready.Sub(t.began); now.Before(t.ready) && whole > 0 {
		return int(100 * now.Sub(t.began) / whole)
	}
	return 100
}

// pause is the work that a crash interrupts.
func (s *Server) pause() { time.Sleep(rand.N(s.Work/4 + 1)) }

func (s *Server) send(w http.ResponseWriter, data []byte) {
	s.pause()
	_, _ = w.Write(data)
}

func read(r *http.Request) map[string]any {
	var body map[string]any
	data, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil || json.Unmarshal(data, &body) != nil {
		return map[string]any{}
	}
	return body
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func text(body map[string]any, name string) string {
	s, _ := body[name].(string)
	return s
}
