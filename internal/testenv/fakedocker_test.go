package testenv

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// fakeDocker speaks as much of Docker's API on a unix socket as starting a
// container takes. Behind a "container" is a real local server on the port that
// the caller asked to publish, started from the command and environment given.
type fakeDocker struct {
	host        string
	createError string // when set, the answer to every attempt to create a container

	mu         sync.Mutex
	seen       []string
	containers map[string]*fakeContainer
}

type fakeContainer struct {
	image  string
	inside string
	port   string
	server *process
}

type createRequest struct {
	Image      string
	Cmd        []string
	Env        []string
	HostConfig struct {
		PortBindings map[string][]struct{ HostPort string }
	}
}

func startFakeDocker(t *testing.T) *fakeDocker {
	t.Helper()
	dir, err := os.MkdirTemp("", "gaia-docker-") // t.TempDir is too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeDocker{host: "unix://" + socket, containers: map[string]*fakeContainer{}}
	server := &http.Server{Handler: f}
	go server.Serve(l) //nolint:errcheck // ends with Close
	t.Cleanup(func() {
		_ = server.Close()
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, c := range f.containers {
			c.server.close()
		}
	})
	return f
}

func (f *fakeDocker) calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.seen)
}

var apiVersion = regexp.MustCompile(`^/v1\.\d+`)

func (f *fakeDocker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := apiVersion.ReplaceAllString(r.URL.Path, "")
	w.Header().Set("Api-Version", "1.47")
	w.Header().Set("Content-Type", "application/json")
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, r.Method+" "+path)
	part := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case path == "/_ping":
		fmt.Fprint(w, "OK")
	case path == "/info":
		reply(w, 200, map[string]any{"ID": "fake", "ServerVersion": "27.0.0", "OperatingSystem": "fake"})
	case path == "/version":
		reply(w, 200, map[string]any{"Version": "27.0.0", "ApiVersion": "1.47"})
	case path == "/networks":
		reply(w, 200, []map[string]any{{"Name": "bridge", "Id": "bridge"}})
	case part[0] == "images" && part[len(part)-1] == "json":
		reply(w, 200, map[string]any{"Id": "sha256:fake", "Os": "linux", "Architecture": "amd64"})
	case path == "/containers/create":
		f.create(w, r)
	case part[0] == "containers" && len(part) >= 2 && f.containers[part[1]] != nil:
		f.act(w, r, part[1], f.containers[part[1]], part[2:])
	default:
		reply(w, 404, map[string]any{"message": "the fake knows no " + r.Method + " " + path})
	}
}

func (f *fakeDocker) create(w http.ResponseWriter, r *http.Request) {
	if f.createError != "" {
		reply(w, 500, map[string]any{"message": f.createError})
		return
	}
	var in createRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		reply(w, 400, map[string]any{"message": err.Error()})
		return
	}
	c := &fakeContainer{image: in.Image}
	for inside, bindings := range in.HostConfig.PortBindings {
		c.inside, c.port = inside, bindings[0].HostPort
	}
	port, err := strconv.Atoi(c.port)
	if err != nil {
		reply(w, 400, map[string]any{"message": "no published port: " + err.Error()})
		return
	}
	k, secret := recipe(in)
	if c.server, err = newProcess(k, port, secret); err != nil {
		reply(w, 500, map[string]any{"message": err.Error()})
		return
	}
	id := randomID() + randomID()
	f.containers[id] = c
	reply(w, 201, map[string]any{"Id": id})
}

// recipe reads what a container's entry point would: whom to let in.
func recipe(in createRequest) (kind, string) {
	switch in.Image {
	case postgres.image:
		for _, v := range in.Env {
			if user, ok := strings.CutPrefix(v, "POSTGRES_USER="); ok {
				return postgres, user
			}
		}
		return postgres, ""
	case redisServer.image:
		return redisServer, in.Cmd[slices.Index(in.Cmd, "--requirepass")+1]
	default:
		return natsServer, in.Cmd[slices.Index(in.Cmd, "--user")+1]
	}
}

func (f *fakeDocker) act(w http.ResponseWriter, r *http.Request, id string, c *fakeContainer, verb []string) {
	if r.Method == http.MethodDelete {
		c.server.close()
		delete(f.containers, id)
		w.WriteHeader(204)
		return
	}
	var err error
	switch strings.Join(verb, "/") {
	case "json":
		reply(w, 200, c.inspect(id))
		return
	case "wait": // asked after "kill", which here returns when the server is gone
		reply(w, 200, map[string]any{"StatusCode": 137})
		return
	case "start":
		err = c.server.start()
	case "kill", "stop":
		err = c.server.kill(syscall.SIGKILL)
	case "pause":
		err = c.server.pause()
	case "unpause":
		err = c.server.resume()
	default:
		reply(w, 404, map[string]any{"message": "the fake cannot " + strings.Join(verb, "/")})
		return
	}
	if err != nil {
		reply(w, 500, map[string]any{"message": err.Error()})
		return
	}
	w.WriteHeader(204)
}

func (c *fakeContainer) inspect(id string) map[string]any {
	return map[string]any{
		"Id": id, "Name": "/fake", "Config": map[string]any{"Image": c.image}, "HostConfig": map[string]any{"NetworkMode": "bridge"},
		"State":           map[string]any{"Status": "running", "Running": true},
		"NetworkSettings": map[string]any{"Ports": map[string]any{c.inside: []any{map[string]any{"HostIp": "0.0.0.0", "HostPort": c.port}}}},
	}
}

func reply(w http.ResponseWriter, status int, body any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
