package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"gaia/tests/gaiatest"
	"gaia/tests/generators"
)

// TestKilledGenerationsEnd kills the server again and again while assets are made: each ends, nothing is paid twice, and files and rows
// belong together.
func TestKilledGenerationsEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		backend  func(testing.TB) gaiatest.Backend
		kills    int
		replicas int
	}{
		"embedded":           {gaiatest.Embedded, 100, 1},
		"full, two replicas": {gaiatest.Full, 20, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newMaking(t, c.backend(t), c.replicas)
			began := time.Now()
			for range c.kills {
				k.order()
				k.kill()
			}
			k.await()
			k.check(c.kills, time.Since(began))
		})
	}
}

// making is servers that are killed while they have assets made.
type making struct {
	t       *testing.T
	outside *generators.Server
	servers []*gaiatest.Server
	files   string // the folder of the storage
	user    string
	jobs    []string // ids
	open    map[string]bool
}

func newMaking(t *testing.T, b gaiatest.Backend, replicas int) *making {
	t.Helper()
	k := &making{t: t, outside: generators.New(150 * time.Millisecond), files: t.TempDir(), user: uuid.NewString(), open: map[string]bool{}}
	t.Cleanup(k.outside.Close)
	for range replicas {
		k.servers = append(k.servers, b.Start(t, gaiatest.Settings{
			"MESHY_BASE_URL": k.outside.URL(), "MESHY_API_KEY": generators.Key,
			"OPENAI_BASE_URL": k.outside.URL() + "/v1", "OPENAI_API_KEY": generators.Key,
			"MIDJOURNEY_BASE_URL": k.outside.URL(), "MIDJOURNEY_API_KEY": generators.Key,
			"GENERATORS_FILE": generatorsFile(t), "ASSET_STORAGE_URL": "file://" + k.files, "ASSET_GENERATION_LEASE": "0.5",
			"ASSET_POLL_INTERVAL": "0.05", "MAX_GENERATION_COST_PER_ASSET": "5", "BUDGET_DAILY_USD": "1000000", "LOG_LEVEL": "INFO",
		}))
	}
	return k
}

// order sees to it that there is enough to do.
func (k *making) order() {
	k.t.Helper()
	k.look()
	for len(k.open) < 4 {
		n := len(k.jobs)
		category := []string{"prop", "image", "texture", "character"}[n%4]
		r := k.servers[rand.IntN(len(k.servers))].As(k.user).Post("/api/v1/assets/generate", map[string]any{
			"category": category, "style": "plain", "description": fmt.Sprintf("thing %06d", n),
			"preferences": map[string]any{"allow_database": false, "allow_modifications": false, "max_cost": 5, "max_wait_time_ms": 0},
		})
		if r.Status != http.StatusOK {
			r.Want(http.StatusAccepted)
		}
		id := r.JSON().Text("asset_id")
		k.jobs = append(k.jobs, id)
		k.open[id] = true
	}
}

// look forgets what has ended.
func (k *making) look() {
	for id := range k.open {
		if status := k.state(id).Text("status"); status != "pending" && status != "processing" {
			delete(k.open, id)
		}
	}
}

func (k *making) state(id string) gaiatest.Object {
	k.t.Helper()
	return k.servers[0].As(k.user).Get("/api/v1/assets/" + id).Want(http.StatusOK).JSON()
}

func (k *making) kill() {
	victim := k.servers[rand.IntN(len(k.servers))]
	time.Sleep(rand.N(300 * time.Millisecond)) // the moment is what is tested
	victim.Kill()
	victim.Restart()
}

func (k *making) await() {
	k.t.Helper()
	gaiatest.Eventually(k.t, 2*time.Minute, "everything ends", func() bool {
		k.look()
		return len(k.open) == 0
	})
}

func (k *making) check(kills int, took time.Duration) {
	k.t.Helper()
	ended, owned, charged := map[string]int{}, map[string]bool{}, 0.0
	for _, id := range k.jobs {
		job := k.state(id)
		status := job.Text("status")
		ended[status]++
		charged += job.Number("cost")
		switch status {
		case "completed":
			owned[id] = true
			if data := download(k.t, k.servers[0], job.Text("asset_data", "download_url")); !slices.Equal(data, generators.GLB()) && !slices.Equal(data, generators.PNG()) {
				k.t.Errorf("%s has %d bytes that nobody made", id, len(data))
			}
		case "failed":
			if reason := job.Text("error"); reason == "" {
				k.t.Errorf("%s failed without a reason", id)
			} else {
				ended[reason]++
			}
		default:
			k.t.Errorf("%s ended as %s", id, status)
		}
	}
	for what, n := range k.outside.Paid() {
		if n != 1 {
			k.t.Errorf("%s was paid %d times", what, n)
		}
	}
	k.checkFiles(owned)
	k.checkLedger(charged)
	if ended["completed"] == 0 {
		k.t.Error("nothing was made")
	}
	k.t.Logf("%d kills in %s: %d assets %v, %d orders paid once each, %d calls", kills, took.Round(time.Second), len(k.jobs), ended, len(k.outside.Paid()), k.outside.Calls())
}

// checkFiles waits until the files of the storage are those of the assets: what failed work has left is removed after a while.
func (k *making) checkFiles(owned map[string]bool) {
	k.t.Helper()
	var stray, missing []string
	defer func() {
		if len(stray)+len(missing) > 0 {
			k.t.Errorf("files without assets: %v; assets without files: %v", stray, missing)
		}
	}()
	gaiatest.Eventually(k.t, 3*time.Minute, "files and assets belong together", func() bool {
		stray, missing = nil, nil
		have := map[string]bool{}
		for _, path := range k.stored() {
			id := filepath.Base(path)
			if id = id[:min(36, len(id))]; !owned[id] {
				stray = append(stray, path)
			} else if strings.Contains(path, "generated") {
				if have[id] {
					stray = append(stray, path)
				}
				have[id] = true
			}
		}
		for id := range owned {
			if !have[id] {
				missing = append(missing, id)
			}
		}
		return len(stray)+len(missing) == 0
	})
}

// stored are the files that are whole: what a server that was killed was writing is no file yet.
func (k *making) stored() []string {
	k.t.Helper()
	var paths []string
	err := filepath.WalkDir(k.files, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.Contains(path, "/.incoming/") {
			paths = append(paths, path)
		}
		return nil // files come and go
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return paths
}

// checkLedger compares what the work says that it cost with what the owner is billed.
func (k *making) checkLedger(charged float64) {
	k.t.Helper()
	sums := k.servers[0].As(k.user).Get("/api/v0.2/assets/pricing/analytics").Want(http.StatusOK).JSON()
	if total := sums.Number("total_cost"); total < charged-1e-6 || total > charged+1e-6 {
		k.t.Errorf("the assets cost %v, the ledger says %v", charged, total)
	}
}

// generatorsFile is the built-in table, but that textures come from Midjourney alone.
func generatorsFile(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../../domain/generators.json")
	if err != nil {
		t.Fatal(err)
	}
	var table map[string]any
	if err := json.Unmarshal(data, &table); err != nil {
		t.Fatal(err)
	}
	for _, row := range table["generators"].([]any) {
		row := row.(map[string]any)
		if operations := row["operations"].(map[string]any); row["id"] != "midjourney" {
			delete(operations, "texture")
			delete(row["formats"].(map[string]any), "texture")
			if adapts, ok := row["adapts"].([]any); ok {
				row["adapts"] = slices.DeleteFunc(adapts, func(category any) bool { return category == "texture" })
			}
		}
	}
	if data, err = json.Marshal(table); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "generators.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
