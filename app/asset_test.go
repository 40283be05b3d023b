package app_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

// library is the use cases of assets over memory.
type library struct {
	*app.Assets

	store *memory.AssetStore
	blobs *memory.BlobStore
	media *media
	now   time.Time
	mu    sync.Mutex
	woes  []string
}

// media takes every file for a PNG, and fails on command.
type media struct{ inspect, preview error }

func (m *media) Inspect(context.Context, io.ReadSeeker) (domain.FileFacts, error) {
	return domain.FileFacts{Format: "png", ContentType: "image/png", Width: 1, Height: 1}, m.inspect
}

func (m *media) Preview(context.Context, io.ReadSeeker, int, int) ([]byte, error) {
	return []byte("preview"), m.preview
}

func newLibrary(t *testing.T, edit func(*app.AssetDeps)) *library {
	t.Helper()
	l := &library{store: &memory.AssetStore{}, blobs: &memory.BlobStore{}, media: &media{}, now: time.Unix(1_800_000_000, 0)}
	ids := 0
	deps := app.AssetDeps{
		Store: l.store, Leases: l.store, Blobs: l.blobs, Media: l.media, Now: func() time.Time { return l.now },
		NewID: func() string { ids++; return fmt.Sprintf("01980000-0000-7000-8000-%012x", ids) },
		Troubled: func(what string, err error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.woes = append(l.woes, what+": "+err.Error())
		},
	}
	if edit != nil {
		edit(&deps)
	}
	var err error
	if l.Assets, err = app.NewAssets(deps); err != nil {
		t.Fatal(err)
	}
	return l
}

var draft = domain.AssetDraft{Title: "Sword", Category: domain.AssetImage}

func (l *library) upload(ctx context.Context, d domain.AssetDraft) (domain.Asset, error) {
	u := l.BeginUpload(ada)
	defer u.Close(ctx)
	if err := u.Receive(ctx, strings.NewReader("a picture")); err != nil {
		return domain.Asset{}, err
	}
	return u.Finish(ctx, d)
}

// mustSweep removes what is to be removed, and checks what is left.
func (l *library) mustSweep(t *testing.T, left int) {
	t.Helper()
	if _, err := l.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	if keys := l.blobs.Keys(); len(keys) != left {
		t.Errorf("%d files were to be left, there are %q", left, keys)
	}
}

func TestAnUploadThatSucceedsStays(t *testing.T) {
	t.Parallel()
	l := newLibrary(t, nil)
	a, err := l.upload(t.Context(), draft)
	if err != nil {
		t.Fatal(err)
	}
	l.now = l.now.Add(48 * time.Hour)
	l.mustSweep(t, 2)
	if err := l.Delete(t.Context(), ada, a.ID); err != nil {
		t.Fatal(err)
	}
	l.mustSweep(t, 0)
}

// doubtfulAssets is a store of assets that does not know whether it has stored one.
type doubtfulAssets struct {
	ports.AssetStore
	stores bool
}

func (s doubtfulAssets) Add(ctx context.Context, a domain.Asset, events ...domain.Event) error {
	if s.stores {
		if err := s.AssetStore.Add(ctx, a, events...); err != nil {
			return err
		}
	}
	return domain.StoreInDoubt("Nobody knows", nil)
}

// TestAnUploadInDoubtIsLookedFor: a client that was told that it failed would upload it again.
func TestAnUploadInDoubtIsLookedFor(t *testing.T) {
	t.Parallel()
	for stores, files := range map[bool]int{true: 2, false: 0} {
		l := newLibrary(t, func(d *app.AssetDeps) { d.Store = doubtfulAssets{d.Store, stores} })
		if _, err := l.upload(t.Context(), draft); stores != (err == nil) || !stores && !domain.IsInDoubt(err) {
			t.Errorf("stored %v: %v", stores, err)
		}
		l.now = l.now.Add(48 * time.Hour)
		l.mustSweep(t, files)
	}
}

// Wherever an upload fails, no file is left, and nothing that is half there is found.
func TestUploadsThatFailAnywhere(t *testing.T) {
	t.Parallel()
	away := domain.MissingPart("away", nil)
	for name, c := range map[string]struct {
		fail func(*library)
		kind domain.Kind
		late bool // the file may arrive after it was given up
	}{
		"lease":   {func(l *library) { l.store.FailNext("Lease", away) }, domain.Unavailable, false},
		"put":     {func(l *library) { l.blobs.FailNext("Put", away) }, domain.Unavailable, true},
		"open":    {func(l *library) { l.blobs.FailNext("Open", away) }, domain.Unavailable, false},
		"inspect": {func(l *library) { l.media.inspect = domain.NewError(domain.BadRequest, "broken") }, domain.BadRequest, false},
		"preview": {func(l *library) { l.media.preview = domain.NewError(domain.BadRequest, "broken") }, domain.BadRequest, false},
		"storage": {func(l *library) { l.media.preview = away }, domain.Unavailable, false},
		"add":     {func(l *library) { l.store.FailNext("Add", away) }, domain.Unavailable, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLibrary(t, nil)
			c.fail(l)
			if _, err := l.upload(t.Context(), draft); domain.KindOf(err) != c.kind {
				t.Errorf("%v", err)
			}
			if c.late {
				if n, err := l.Sweep(t.Context()); n != 0 || err != nil {
					t.Errorf("swept %d at once, %v", n, err)
				}
				l.now = l.now.Add(time.Hour)
				if n, err := l.Sweep(t.Context()); n != 1 || err != nil {
					t.Errorf("swept %d later, %v", n, err)
				}
			}
			l.mustSweep(t, 0)
			if page, _, err := l.Search(t.Context(), ada, domain.AssetQuery{}); err != nil || page.Total != 0 {
				t.Errorf("%d assets are there, %v", page.Total, err)
			}
		})
	}
}

// A lease that could not be ended ends by itself.
func TestLeasesEndByThemselves(t *testing.T) {
	t.Parallel()
	l := newLibrary(t, nil)
	l.media.inspect = domain.NewError(domain.BadRequest, "broken")
	l.store.FailNext("EndLeases", errors.New("away"))
	if _, err := l.upload(t.Context(), draft); err == nil {
		t.Error("it was taken")
	}
	l.mustSweep(t, 1)
	l.now = l.now.Add(2 * time.Hour)
	l.mustSweep(t, 0)
	if len(l.woes) != 1 {
		t.Errorf("told: %q", l.woes)
	}
}

func TestCallersWhoLeaveEndTheirLeases(t *testing.T) {
	t.Parallel()
	l := newLibrary(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	u := l.BeginUpload(ada)
	if err := u.Receive(ctx, strings.NewReader("a picture")); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := u.Finish(ctx, draft); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	u.Close(ctx)
	l.now = l.now.Add(time.Hour)
	l.mustSweep(t, 0)
}

// An upload has one deadline for all that it does, and its files are leased for longer than that.
func TestUploadsEnd(t *testing.T) {
	t.Parallel()
	l := newLibrary(t, func(d *app.AssetDeps) { d.Config.UploadTime = time.Hour })
	u := l.BeginUpload(ada)
	l.now = l.now.Add(59 * time.Minute)
	if err := u.Receive(t.Context(), strings.NewReader("a picture")); err != nil {
		t.Fatal(err)
	}
	l.now = l.now.Add(2 * time.Minute)
	l.mustSweep(t, 1)
	if _, err := u.Finish(t.Context(), draft); domain.KindOf(err) != domain.Unavailable || !strings.Contains(err.Error(), "too long") {
		t.Error(err)
	}
	u.Close(t.Context())
	l.now = l.now.Add(time.Hour)
	l.mustSweep(t, 0)
	late := l.BeginUpload(ada)
	l.now = l.now.Add(61 * time.Minute)
	if err := late.Receive(t.Context(), strings.NewReader("a picture")); domain.KindOf(err) != domain.Unavailable {
		t.Error(err)
	}
	late.Close(t.Context())
}

// The files of one owner have a limit together. Those of others, and the global key, are not in its way.
func TestOwnersHaveSoMuchRoom(t *testing.T) {
	t.Parallel()
	l := newLibrary(t, func(d *app.AssetDeps) { d.Config.OwnerBytes = 20 }) // "a picture" has 9
	first, err := l.upload(t.Context(), draft)
	if err != nil {
		t.Fatal(err)
	}
	late := l.BeginUpload(ada)
	if err := late.Receive(t.Context(), strings.NewReader("a picture")); err != nil {
		t.Fatal(err)
	}
	if _, err := l.upload(t.Context(), draft); err != nil {
		t.Fatal(err)
	}
	full := func(err error) {
		t.Helper()
		if domain.KindOf(err) != domain.TooLarge || !strings.Contains(err.Error(), "delete some") {
			t.Error(err)
		}
	}
	_, err = late.Finish(t.Context(), draft) // there was room when it began
	full(err)
	late.Close(t.Context())
	_, err = l.upload(t.Context(), draft) // 2 bytes are left
	full(err)
	for _, who := range []domain.Principal{domain.ServicePrincipal(), {Type: domain.AuthUserAPIKey, UserID: "bob"}} {
		u := l.BeginUpload(who)
		if err := u.Receive(t.Context(), strings.NewReader(strings.Repeat("x", 20))); err != nil {
			t.Error(err)
		}
		if _, err := u.Finish(t.Context(), draft); err != nil {
			t.Error(err)
		}
	}
	bob := l.BeginUpload(domain.Principal{Type: domain.AuthUserAPIKey, UserID: "bob"})
	full(bob.Receive(t.Context(), strings.NewReader("x"))) // nothing is left
	l.mustSweep(t, 8)
	if err := l.Delete(t.Context(), ada, first.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := l.upload(t.Context(), draft); err != nil {
		t.Error(err)
	}
	l.store.FailNext("Bytes", domain.MissingPart("away", nil))
	if _, err := l.upload(t.Context(), draft); domain.KindOf(err) != domain.Unavailable {
		t.Error(err)
	}
}

func TestScanner(t *testing.T) {
	t.Parallel()
	for err, kind := range map[error]domain.Kind{
		domain.NewError(domain.BadRequest, "EICAR was found"): domain.BadRequest, domain.MissingPart("away", nil): domain.Unavailable,
	} {
		l := newLibrary(t, func(d *app.AssetDeps) { d.Scanner = scanner{err} })
		_, got := l.upload(t.Context(), draft)
		if domain.KindOf(got) != kind || !strings.HasPrefix(got.Error(), err.Error()) {
			t.Errorf("%v", got)
		}
		l.mustSweep(t, 0)
	}
}

type scanner struct{ err error }

func (s scanner) Scan(context.Context, io.Reader) error { return s.err }

// Files wait for a storage that is away; one that can't be removed is in nobody's way.
func TestSweepingAStorageThatIsAway(t *testing.T) {
	t.Parallel()
	l := newLibrary(t, nil)
	for range 3 {
		a, err := l.upload(t.Context(), draft)
		if err == nil {
			err = l.Delete(t.Context(), ada, a.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	l.blobs.FailNext("Delete", domain.MissingPart("away", nil))
	if n, err := l.Sweep(t.Context()); n != 0 || domain.KindOf(err) != domain.Unavailable {
		t.Errorf("%d, %v", n, err)
	}
	l.blobs.FailNext("Delete", errors.New("odd"))
	if n, err := l.Sweep(t.Context()); n != 5 || err == nil {
		t.Errorf("%d, %v", n, err)
	}
	// It was removed, and the process died before it was forgotten.
	l.store.FailNext("Forget", errors.New("died"))
	if n, err := l.Sweep(t.Context()); n != 0 || err == nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := l.Sweep(t.Context()); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	l.mustSweep(t, 0)
}

// Run removes at once what a delete leaves, and tries again what failed.
func TestRunSweeps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLibrary(t, func(d *app.AssetDeps) { d.Now = time.Now })
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { l.Run(ctx) })
		a, err := l.upload(t.Context(), draft)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		l.blobs.FailNext("Delete", domain.MissingPart("away", nil))
		if err := l.Delete(t.Context(), ada, a.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := len(l.blobs.Keys()); n != 2 {
			t.Errorf("%d files are left by a storage that is away", n)
		}
		time.Sleep(2 * time.Minute) // of the bubble
		synctest.Wait()
		if n := len(l.blobs.Keys()); n != 0 {
			t.Errorf("%d files are left", n)
		}
		cancel()
		running.Wait()
	})
}

// Without its meaning a text is still found by its words.
func TestSearchWithoutAnEmbedder(t *testing.T) {
	t.Parallel()
	for _, e := range []*embedder{{err: errors.New("away")}, {vectors: [][]float32{}}, {vectors: [][]float32{{1, 2}}}} {
		var asked domain.AssetQuery
		l := newLibrary(t, func(d *app.AssetDeps) {
			d.Embedder, d.Meanings, d.Store, d.Config.Similarity = e, &meanings{}, seeing{d.Store, &asked}, 0.6
		})
		if _, err := l.upload(t.Context(), draft); err != nil {
			t.Fatal(err)
		}
		page, _, err := l.Search(t.Context(), ada, domain.AssetQuery{Text: "sword", Limit: 100_000})
		if err != nil || page.Total != 1 || asked.Viewer != "ada" || asked.Limit != 100 || asked.Similarity != 0.6 {
			t.Errorf("%+v of %+v, %v", page, asked, err)
		}
		if known := len(e.vectors) == 1; (asked.Embedding != nil) != known || (asked.Model == "m") != known || (len(l.woes) == 0) != known {
			t.Errorf("asked %+v, told %q", asked, l.woes)
		}
	}
}

type embedder struct {
	vectors [][]float32
	err     error
}

func (e *embedder) Model() string { return "m" }

func (e *embedder) Embed(context.Context, []string) ([][]float32, error) { return e.vectors, e.err }

// meanings keeps what is told, and has assets without.
type meanings struct {
	without []domain.Asset
	kept    map[string][]float32
	err     error
}

func (m *meanings) WithoutMeaning(_ context.Context, _ string, limit int) ([]domain.Asset, error) {
	var list []domain.Asset
	for _, a := range m.without {
		if _, there := m.kept[a.ID]; !there && len(list) < limit {
			list = append(list, a)
		}
	}
	return list, m.err
}

func (m *meanings) SetMeaning(_ context.Context, id, _ string, vector []float32) error {
	if len(vector) == 0 {
		return domain.NewError(domain.BadRequest, "means nothing")
	}
	m.kept[id] = vector
	return nil
}

// counting has a vector for every text, and none for an empty title.
type counting struct{ calls, texts int }

func (c *counting) Model() string { return "m" }

func (c *counting) Embed(_ context.Context, texts []string) ([][]float32, error) {
	c.calls, c.texts = c.calls+1, c.texts+len(texts)
	vectors := make([][]float32, len(texts))
	for i, text := range texts {
		if !strings.HasPrefix(text, "\n") {
			vectors[i] = []float32{1}
		}
	}
	return vectors, nil
}

// Every asset gets its meaning once, in batches; one that has none is no reason to go on for ever.
func TestAssetsGetTheirMeanings(t *testing.T) {
	t.Parallel()
	kept, e := &meanings{kept: map[string][]float32{}}, &counting{}
	for i := range 120 {
		kept.without = append(kept.without, domain.Asset{ID: fmt.Sprint(i), Title: "Sword", Description: strings.Repeat("ü", 5000)})
	}
	l := newLibrary(t, func(d *app.AssetDeps) { d.Embedder, d.Meanings = e, kept })
	if n, err := l.Understand(t.Context()); n != 120 || err != nil || len(kept.kept) != 120 || e.calls != 3 || e.texts != 120 {
		t.Errorf("%d, %v; %d are kept after %d calls with %d texts", n, err, len(kept.kept), e.calls, e.texts)
	}
	if n, err := l.Understand(t.Context()); n != 0 || err != nil || e.calls != 3 {
		t.Errorf("again: %d, %v, %d calls", n, err, e.calls)
	}
	kept.without = append([]domain.Asset{{ID: "empty"}}, kept.without...)
	if n, err := l.Understand(t.Context()); n != 0 || domain.KindOf(err) != domain.BadRequest || e.calls != 4 {
		t.Errorf("without a meaning: %d, %v, %d calls", n, err, e.calls)
	}
}

// Nobody is paid for meanings that can't be kept.
func TestWithoutAPlaceForMeanings(t *testing.T) {
	t.Parallel()
	unable := &meanings{err: domain.NewError(domain.Unimplemented, "no vectors here")}
	for name, keeper := range map[string]ports.AssetMeanings{"no store": nil, "a store that can't": unable} {
		e := &counting{}
		l := newLibrary(t, func(d *app.AssetDeps) { d.Embedder, d.Meanings = e, keeper })
		_, err := l.Understand(t.Context())
		if (keeper != nil) != (domain.KindOf(err) == domain.Unimplemented) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := l.Understand(t.Context()); err != nil { // it is said once
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := l.Search(t.Context(), ada, domain.AssetQuery{Text: "sword"}); err != nil || e.calls != 0 {
			t.Errorf("%s: %v after %d calls", name, err, e.calls)
		}
	}
}

// seeing notes what is asked for.
type seeing struct {
	ports.AssetStore

	asked *domain.AssetQuery
}

func (s seeing) Search(ctx context.Context, q domain.AssetQuery) (domain.AssetPage, error) {
	*s.asked = q
	return s.AssetStore.Search(ctx, q)
}

// Links of one secret are good in every replica, and no others are.
func TestLinksOfReplicas(t *testing.T) {
	t.Parallel()
	secret := func(text string) func(*app.AssetDeps) {
		return func(d *app.AssetDeps) { d.Config.LinkSecret = []byte(text) }
	}
	a := domain.Asset{ID: "x", File: domain.AssetFile{Key: "k"}}
	same, again, other := newLibrary(t, secret("s")), newLibrary(t, secret("s")), newLibrary(t, secret("t"))
	link := func(l *library) string {
		text, err := l.Link(t.Context(), a, domain.AssetMain)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if link(same) != link(again) || link(same) == link(other) {
		t.Errorf("%s, %s, %s", link(same), link(again), link(other))
	}
	if first, second := newLibrary(t, nil), newLibrary(t, nil); link(first) == link(second) {
		t.Error("without a secret everybody could make links")
	}
}
