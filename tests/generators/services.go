package generators

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Meshy: tasks of two modes.

func (s *Server) orderModel(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+Key {
		answer(w, http.StatusUnauthorized, map[string]any{"message": "Invalid API key"})
		return
	}
	body := read(r)
	mode, prompt := text(body, "mode"), text(body, "prompt")
	if mode == "refine" {
		before, ok := s.find(text(body, "preview_task_id"))
		if !ok {
			answer(w, http.StatusBadRequest, map[string]any{"message": "preview task not found"})
			return
		}
		prompt = before.prompt
	}
	s.pause()
	id := s.begin(mode, prompt, text(body, "preview_task_id"), "")
	s.pause()
	answer(w, http.StatusAccepted, map[string]any{"result": id})
}

func (s *Server) showModel(w http.ResponseWriter, r *http.Request) {
	t, ok := s.find(r.PathValue("id"))
	if !ok {
		answer(w, http.StatusNotFound, map[string]any{"message": "Task not found"})
		return
	}
	answer(w, http.StatusOK, s.model(t))
}

func (s *Server) listModels(w http.ResponseWriter, _ *http.Request) {
	list := []any{}
	for _, t := range s.all(func(mode string) bool { return mode == "preview" || mode == "refine" }) {
		list = append(list, s.model(t))
	}
	answer(w, http.StatusOK, list[:min(len(list), 50)])
}

func (s *Server) model(t task) map[string]any {
	m := map[string]any{
		"id": t.id, "type": "text-to-3d-" + t.mode, "mode": t.mode, "prompt": t.prompt, "status": "IN_PROGRESS", "progress": t.progress(time.Now()),
		"created_at": t.began.UnixMilli(), "started_at": t.began.UnixMilli(), "finished_at": 0, "task_error": map[string]any{"message": ""},
		"model_urls": map[string]any{}, "texture_urls": []any{},
	}
	if t.state != "" {
		m["preview_task_id"] = t.state
	}
	if !time.Now().Before(t.ready) {
		m["status"], m["progress"], m["finished_at"] = "SUCCEEDED", 100, t.ready.UnixMilli()
		m["model_urls"] = map[string]any{"glb": s.web.URL + "/files/model.glb"}
		m["thumbnail_url"] = s.web.URL + "/files/picture.png"
	}
	return m
}

// Midjourney: the community proxy.

func (s *Server) orderPicture(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("mj-api-secret") != Key {
		answer(w, http.StatusUnauthorized, map[string]any{"code": 0, "description": "no access"})
		return
	}
	body := read(r)
	s.pause()
	id := s.begin("imagine", text(body, "prompt"), text(body, "state"), text(body, "notifyHook"))
	if t, _ := s.find(id); t.notify != "" {
		s.rings.Go(func() { s.ring(t) })
	}
	s.pause()
	answer(w, http.StatusOK, map[string]any{"code": 1, "description": "Submit success", "result": id})
}

// changePicture makes one picture of the four. The proxy knows what it was asked before.
func (s *Server) changePicture(w http.ResponseWriter, r *http.Request) {
	body := read(r)
	before, ok := s.find(text(body, "taskId"))
	if !ok {
		answer(w, http.StatusOK, map[string]any{"code": 3, "description": "task not found"})
		return
	}
	s.pause()
	for _, t := range s.all(func(mode string) bool { return mode == "upscale" }) {
		if t.prompt == before.prompt {
			answer(w, http.StatusOK, map[string]any{"code": 21, "description": "task exists", "result": t.id})
			return
		}
	}
	id := s.begin("upscale", before.prompt, text(body, "state"), "")
	s.pause()
	answer(w, http.StatusOK, map[string]any{"code": 1, "description": "Submit success", "result": id})
}

// ring tells whoever asked for it that a task is ready.
func (s *Server) ring(t task) {
	select {
	case <-time.After(time.Until(t.ready)):
	case <-s.stop:
		return
	}
	body := fmt.Sprintf(`{"id":%q,"status":"SUCCESS","imageUrl":"http://203.0.113.1/planted.png"}`, t.id)
	resp, err := http.Post(t.notify, "application/json", strings.NewReader(body)) //nolint:gosec,noctx // a test's own server
	if err == nil {
		_ = resp.Body.Close()
	}
}

func (s *Server) showPicture(w http.ResponseWriter, r *http.Request) {
	t, ok := s.find(r.PathValue("id"))
	if !ok {
		w.WriteHeader(http.StatusOK) // the proxy answers nothing for what it does not know
		return
	}
	answer(w, http.StatusOK, s.picture(t))
}

func (s *Server) listPictures(w http.ResponseWriter, _ *http.Request) {
	list := []any{}
	for _, t := range s.all(func(mode string) bool { return mode == "imagine" || mode == "upscale" }) {
		list = append(list, s.picture(t))
	}
	answer(w, http.StatusOK, list)
}

func (s *Server) picture(t task) map[string]any {
	p := map[string]any{
		"id": t.id, "action": strings.ToUpper(t.mode), "status": "IN_PROGRESS", "prompt": t.prompt, "state": t.state,
		"progress": fmt.Sprintf("%d%%", t.progress(time.Now())), "submitTime": t.began.UnixMilli(), "startTime": t.began.UnixMilli(),
	}
	if !time.Now().Before(t.ready) {
		p["status"], p["progress"], p["finishTime"] = "SUCCESS", "100%", t.ready.UnixMilli()
		p["imageUrl"] = s.web.URL + "/files/picture.png"
	}
	return p
}

// OpenAI Images: the answer has the picture.

func (s *Server) makeImage(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+Key {
		answer(w, http.StatusUnauthorized, map[string]any{"error": map[string]any{"message": "Incorrect API key", "type": "invalid_request_error"}})
		return
	}
	body := read(r)
	s.pause()
	s.pay("image " + text(body, "prompt"))
	s.pause()
	answer(w, http.StatusOK, map[string]any{
		"created": time.Now().Unix(), "output_format": "png", "quality": "medium", "size": "1024x1024",
		"data":  []any{map[string]any{"b64_json": base64.StdEncoding.EncodeToString(PNG())}},
		"usage": map[string]any{"input_tokens": 20, "output_tokens": 1056, "total_tokens": 1076},
	})
}
