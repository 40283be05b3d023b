package chaos

import (
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gaia/internal/testenv"
	"gaia/tests/faultproxy"
	"gaia/tests/gaiatest"
	"gaia/tests/upstream"
)

// world is everything that is started for one run.
type world struct {
	t        *testing.T
	seed     uint64
	backend  gaiatest.Backend // as clients of the parts see it, without proxies
	entries  []*entry
	machines []*machine
	wires    []*wire
	disk     *disk // of the assets; nil: it is large

	faults      atomic.Int64 // that have happened
	chatsKilled atomic.Int64 // how often processes were that answer

	mu        sync.Mutex
	questions map[string]int // how often the provider has heard them
}

// heard is how often the provider was asked something.
func (w *world) heard(question string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.questions[question]
}

func (w *world) hears(question string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.questions[question]++
}

// entry is a process that clients talk to.
type entry struct {
	url  string
	http *http.Client // checks every answer against the contract

	mu    sync.Mutex
	downs []down
}

// down is a time in which a process was dead on purpose.
type down struct {
	from, to time.Time
	orderly  bool // it was told to stop
}

// excuses reports whether a request came to nothing because its process was dead. One that was told to stop answers what it has taken: there
// it is the connection that could not be made.
func (e *entry) excuses(err error, from, to time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	var network *net.OpError
	unheard := errors.As(err, &network) && network.Op == "dial"
	for _, d := range e.downs {
		if from.Before(d.to) && to.After(d.from) && (!d.orderly || unheard) {
			return true
		}
	}
	return false
}

// goesDown notes that the process is going to be killed, or told to stop.
func (e *entry) goesDown(orderly bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.downs = append(e.downs, down{time.Now(), time.Now().Add(time.Hour), orderly})
}

// isBack notes that the process is there again.
func (e *entry) isBack() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.downs[len(e.downs)-1].to = time.Now()
}

// machine is something that can be killed, started again and frozen.
type machine struct {
	name                       string
	kill, start, pause, resume func()
	notice                     notice
	stop                       func()    // tells it to stop and waits until it has; nil: that is not for this one
	stopped                    []verdict // what clients may see of that besides right answers
}

// wire is a proxy between two of them.
type wire struct {
	name   string
	proxy  *faultproxy.Proxy
	notice notice
}

// noticeOf is what clients may see when a part or a process is away.
func noticeOf(name string) notice {
	switch service, number, _ := strings.Cut(name, " "); {
	case name == "Redis", name == "NATS":
		return nothing
	case number != "" && two(service):
		return little
	default:
		return much
	}
}

// settings of every process: what is waited for in a test must not take half a minute.
func settingsOf(provider *upstream.Server) gaiatest.Settings {
	return gaiatest.Settings{
		"OPENAI_BASE_URL": provider.OpenAI(), "OPENAI_API_KEY": upstream.Key, "DEFAULT_LLM_MODEL": "gpt-4o-mini",
		"BUDGET_DAILY_USD": "1000", "LOCAL_ACCOUNTS": "on", "WORKFLOW_LEASE": "3", "BUDGET_LEASE": "10", "ASSET_GENERATION_LEASE": "3", "ASSET_POLL_INTERVAL": "0.1",
		"MAX_CONCURRENT_REQUESTS": "500", "SHUTDOWN_DELAY": "2", "STREAM_PING_INTERVAL": "5",
		// Limits that nobody reaches: they are counted in Redis.
		"RATE_LIMIT_REQUESTS": "1000000", "RATE_LIMIT_BURST": "0", "RATE_LIMIT_SIGN_IN": "0", "RATE_LIMIT_ACCOUNT": "0", "RATE_LIMIT_REFRESH": "0",
		"RATE_LIMIT_VALIDATE": "0", "RATE_LIMIT_FAILURES": "0",
		"INTERNAL_AUTH_SECRET": "a-secret-between-services-of-tests", "LOG_LEVEL": "WARNING",
	}
}

// startProvider starts a provider whose answer follows from the question.
func startProvider(t *testing.T, hears func(question string)) *upstream.Server {
	t.Helper()
	provider := upstream.New()
	t.Cleanup(func() {
		provider.CloseClientConnections()
		provider.Close()
	})
	provider.Answers(func(body map[string]any) upstream.Script {
		question := questionIn(body)
		hears(question)
		return upstream.Script{Tokens: answerWords, Word: wordFor(question), Between: 10 * time.Millisecond}
	})
	return provider
}

const answerWords = 8

func wordFor(question string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(question))
	return fmt.Sprintf("w%08x ", h.Sum32())
}

// answerTo is what the provider answers to a question.
func answerTo(question string) string { return strings.Repeat(wordFor(question), answerWords) }

// questionIn is the number of the question in the last message of a prompt: templates may stand around it.
func questionIn(body map[string]any) string {
	messages, _ := body["messages"].([]any)
	for i := len(messages) - 1; i >= 0; i-- {
		m, _ := messages[i].(map[string]any)
		content, _ := m["content"].(string)
		if _, rest, found := strings.Cut(content, questionMark); found && m["role"] == "user" {
			number, _, _ := strings.Cut(rest, ".")
			return questionMark + number + "."
		}
	}
	return ""
}

// questionMark begins every question. Its number and a full stop follow.
const questionMark = "Question "

// services are the processes behind the gateway, in the order of the table. Two of some are one name in a URL.
var services = []string{"auth", "asset", "asset", "chat", "chat"}

// shape is how a world differs from others.
type shape struct {
	wired bool // there is a proxy before each part, and between the gateway and the first process of each service
	small bool // the disk of assets is
}

// newServices starts a gateway and what is behind it, on parts that may break.
func newServices(t *testing.T, seed uint64, as shape) *world {
	t.Helper()
	w := newWorld(t, seed)
	if as.small {
		if w.disk = newDisk(t, w.files()); w.disk != nil {
			w.backend.Settings["ASSET_STORAGE_URL"] = "file://" + w.disk.path
		}
	}
	common := w.behind(as.wired)
	maps.Copy(common, settingsOf(startProvider(t, w.hears)))
	urls := map[string][]string{}
	for _, service := range services {
		count := len(urls[service])
		name := service
		if two(service) {
			name = fmt.Sprintf("%s (%d)", service, count+1)
		}
		s := w.backend.Start(t, common, gaiatest.Settings{"SERVICES": service, "SERVICE_PORT": freePort(t), "DATABASE_URL": named(t, common["DATABASE_URL"], name)})
		w.addProcess(name, s, nil)
		address := strings.TrimPrefix(s.URL(), "http://")
		if as.wired && count == 0 {
			address = w.addWire(name, address)
		}
		urls[service] = append(urls[service], "http://"+address)
	}
	gateway := gaiatest.Settings{"SERVICES": "gateway", "SERVICE_PORT": freePort(t)}
	for service, list := range urls {
		gateway[strings.ToUpper(service)+"_SERVICE_URL"] = strings.Join(list, ",")
	}
	w.addEntry("gateway", w.backend.Start(t, common, gateway))
	return w
}

// named is a URL of the database with which the server knows whose a connection is.
func named(t *testing.T, database, name string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("application_name", name)
	u.RawQuery = q.Encode()
	return u.String()
}

// two reports whether there are several processes of a service.
func two(service string) bool {
	n := 0
	for _, s := range services {
		if s == service {
			n++
		}
	}
	return n > 1
}

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	w := &world{t: t, seed: seed, backend: gaiatest.Breakable(t), questions: map[string]int{}}
	f := w.backend.Faults
	w.machines = append(w.machines, part("PostgreSQL", f.Postgres), part("Redis", f.Redis), part("NATS", f.NATS))
	return w
}

func part(name string, s *testenv.Server) *machine {
	return &machine{name: name, kill: s.Stop, start: s.Start, pause: s.Pause, resume: s.Resume, notice: noticeOf(name)}
}

// files is the folder of the assets.
func (w *world) files() string {
	w.t.Helper()
	u, err := url.Parse(w.backend.Settings["ASSET_STORAGE_URL"])
	if err != nil {
		w.t.Fatal(err)
	}
	return u.Path
}

// behind returns the settings that lead to the parts, through proxies if there shall be some.
func (w *world) behind(wired bool) gaiatest.Settings {
	w.t.Helper()
	settings := maps.Clone(w.backend.Settings)
	if !wired {
		return settings
	}
	for _, part := range []struct{ name, setting string }{{"PostgreSQL", "DATABASE_URL"}, {"Redis", "REDIS_URL"}, {"NATS", "NATS_URL"}} {
		u, err := url.Parse(settings[part.setting])
		if err != nil {
			w.t.Fatal(err)
		}
		u.Host = w.addWire(part.name, u.Host)
		settings[part.setting] = u.String()
	}
	return settings
}

// addWire puts a proxy before an address and returns where it listens.
func (w *world) addWire(name, target string) string {
	w.t.Helper()
	proxy, err := faultproxy.New(target, w.seed+uint64(len(w.wires)))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(proxy.Close)
	w.wires = append(w.wires, &wire{name, proxy, noticeOf(name)})
	return proxy.Address()
}

// addEntry takes a process that clients talk to.
func (w *world) addEntry(name string, s *gaiatest.Server) {
	e := &entry{url: s.URL(), http: s.HTTP()}
	w.entries = append(w.entries, e)
	w.addProcess(name, s, e)
}

// addProcess takes a process that is going to be killed, and its entry if it is one.
func (w *world) addProcess(name string, s *gaiatest.Server, e *entry) {
	goesDown, isBack := func(bool) {}, func() {}
	if e != nil {
		goesDown, isBack = e.goesDown, e.isBack
	}
	w.machines = append(w.machines, &machine{
		name:  name,
		kill:  func() { goesDown(false); w.killed(name); s.Kill() },
		start: func() { s.Restart(); isBack() },
		pause: s.Pause, resume: s.Resume, notice: noticeOf(name),
		stop: func() {
			goesDown(true)
			s.Terminate()
			if err := s.Wait(); err != nil {
				w.t.Errorf("%s was told to stop, and ended with %v", name, err)
			}
		},
		stopped: stoppedNotice(name, e != nil),
	})
}

// stoppedNotice is what clients may see of a process that was told to stop: streams have an end that says so. Where nobody else is
// there, what comes next finds nobody.
func stoppedNotice(name string, entry bool) []verdict {
	ends := []verdict{broken, paused}
	switch _, number, _ := strings.Cut(name, " "); {
	case entry:
		return append(ends, gone)
	case number == "":
		return append(ends, refused)
	default:
		return ends
	}
}

// killed counts the processes whose work is lost.
func (w *world) killed(name string) {
	if strings.HasPrefix(name, "chat") {
		w.chatsKilled.Add(1)
	}
}

// freePort is one that outgoing connections do not get while nobody listens.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(15000 + rand.IntN(15000))
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return port
	}
	t.Fatal("no free port")
	return ""
}
