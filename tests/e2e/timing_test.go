package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"gaia/domain"
	"gaia/tests/gaiatest"
)

const (
	pairs  = 200  // in each round
	rounds = 30   // until one round sees no difference: noise comes and goes, a difference of the program stays
	same   = 0.15 // of the median
)

// TestTimeTellsNothingAboutKeys: how long a refusal takes does not tell how much of a key was right.
func TestTimeTellsNothingAboutKeys(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t, gaiatest.Settings{"LOG_LEVEL": "ERROR"})
	k := gaiatest.APIKey
	users, _ := newKey(t, server.As(uuid.NewString()), map[string]any{})
	random := strings.TrimPrefix(users, "gaia_dev_")[:32]
	guess := 0 // no key comes twice: what was refused a moment ago is remembered
	for name, guesses := range map[string][2]func(i int) string{
		"the first letter or none": {func(i int) string { return k[:1] + digits(i, len(k)-1) }, func(i int) string { return digits(i, len(k)) }},
		"nearly all or none":       {func(i int) string { return k[:len(k)-6] + digits(i, 6) }, func(i int) string { return digits(i, len(k)) }},
		"the length or not":        {func(i int) string { return digits(i, len(k)) }, func(i int) string { return digits(i, 3*len(k)) }},
		"nearly all of a user's key, with its checksum, or none": {
			func(i int) string { return domain.KeyText("dev", random[:26]+digits(i, 6)) }, func(i int) string { return domain.KeyText("dev", digits(i, 32)) },
		},
		"the beginning of a user's key, without a checksum": {
			func(i int) string { return users[:26] + digits(i, 6) }, func(i int) string { return digits(i, 32) },
		},
	} {
		sameTime(t, server, name, &guess, guesses)
	}
}

// digits are n of them, others for each i.
func digits(i, n int) string {
	s := fmt.Sprintf("%d", i)
	return strings.Repeat("0", max(n-len(s), 0)) + s
}

// sameTime fails when keys of two kinds are refused in times that differ by more than noise.
func sameTime(t *testing.T, server *gaiatest.Server, about string, guess *int, guesses [2]func(i int) string) {
	t.Helper()
	var medians [2]time.Duration
	for round := range rounds {
		var took [2][]time.Duration
		for range pairs {
			order := [2]int{0, 1}
			if rand.IntN(2) == 1 { // so that neither kind is always the one that comes after the other
				order = [2]int{1, 0}
			}
			for _, kind := range order {
				*guess++
				took[kind] = append(took[kind], refusal(t, server, guesses[kind](*guess)))
			}
		}
		medians = [2]time.Duration{median(took[0]), median(took[1])}
		if alike(medians) {
			t.Logf("%s: %s and %s in round %d", about, medians[0], medians[1], round+1)
			return
		}
	}
	t.Errorf("%s: %s and %s, and a difference in all of %d rounds", about, medians[0], medians[1], rounds)
}

// refusal asks with a key that must be refused and returns how long that took.
func refusal(t *testing.T, server *gaiatest.Server, key string) time.Duration {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL()+guarded, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Api-Key", key)
	begun := time.Now()
	resp, err := http.DefaultTransport.RoundTrip(req) // not the checking one, whose work would hide what is measured
	took := time.Since(begun)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // nothing is left in it
	if _, err := resp.Body.Read(make([]byte, 4096)); resp.StatusCode != http.StatusForbidden {
		t.Fatalf("status %d, %v", resp.StatusCode, err)
	}
	return took
}

func median(values []time.Duration) time.Duration {
	slices.Sort(values)
	return values[len(values)/2]
}

func alike(medians [2]time.Duration) bool {
	difference := (medians[0] - medians[1]).Abs()
	return float64(difference) <= same*float64(min(medians[0], medians[1]))
}

// TestTimingWouldBeSeen: what sameTime looks for is found in samples as noisy as those of a busy machine.
func TestTimingWouldBeSeen(t *testing.T) {
	t.Parallel()
	source := rand.New(rand.NewPCG(1, 2))
	noisy := func(base float64) time.Duration {
		values := make([]time.Duration, pairs)
		for i := range values {
			values[i] = time.Duration(base * (1 + source.ExpFloat64()/2)) // skewed, as waiting is
		}
		return median(values)
	}
	seen, wrong := 0, 0
	for range 1000 {
		if !alike([2]time.Duration{noisy(1e6), noisy(1.5e6)}) {
			seen++
		}
		if !alike([2]time.Duration{noisy(1e6), noisy(1e6)}) {
			wrong++
		}
	}
	if seen < 990 || wrong > 100 {
		t.Errorf("of 1000 rounds, %d saw half as much again, and %d saw what was not there", seen, wrong)
	}
}
