package memory

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

var (
	_ ports.AssetStore = (*AssetStore)(nil)
	_ ports.FileLeases = (*AssetStore)(nil)
)

// AssetStore keeps the catalogue, and the leases of files that it does not know yet. The zero value is empty and ready.
type AssetStore struct {
	failures
	Outbox *Outbox // where events go; nil forgets them. It must not change once the store is in use

	mu     sync.Mutex
	byID   map[string]asset
	leases map[string]fileLease
}

// asset has its facts as JSON, so that callers share nothing with the store and get the types that JSON has.
type asset struct {
	domain.Asset
	metadata []byte
}

type fileLease struct {
	until     time.Time
	condemned bool
}

// Get implements ports.AssetStore.
func (s *AssetStore) Get(ctx context.Context, viewer, id string) (domain.Asset, error) {
	if err := s.enter(ctx, "Get"); err != nil {
		return domain.Asset{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.find(viewer, id)
	if err != nil {
		return domain.Asset{}, err
	}
	return a.load()
}

// find finds an asset that a viewer may see. It needs the lock.
func (s *AssetStore) find(viewer, id string) (asset, error) {
	key, _ := domain.ParseID(id)
	a, ok := s.byID[key]
	if !ok || !a.VisibleTo(viewer) {
		return asset{}, domain.AssetNotFound()
	}
	return a, nil
}

func (a asset) load() (domain.Asset, error) {
	shown := a.Asset
	shown.StyleTags = slices.Clone(a.StyleTags)
	var err error
	shown.Metadata, err = domain.MapFromStored(a.metadata)
	return shown, err
}

// Add implements ports.AssetStore.
func (s *AssetStore) Add(ctx context.Context, a domain.Asset, events ...domain.Event) error {
	if err := s.enter(ctx, "Add"); err != nil {
		return err
	}
	told, err := stored(events)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.add(a); err != nil {
		return err
	}
	s.Outbox.add(ctx, told)
	return nil
}

// change adds an asset, if there is one, and ends leases that nobody needs any more at a time, or does nothing. GenerationStore calls it too.
func (s *AssetStore) change(a *domain.Asset, abandoned []string, at time.Time) error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a != nil {
		if err := s.add(*a); err != nil {
			return err
		}
	}
	s.endLeases(abandoned, at)
	return nil
}

// add needs the lock.
func (s *AssetStore) add(a domain.Asset) error {
	a, err := a.Tidy()
	if err != nil {
		return err
	}
	metadata, err := domain.StoredJSON(a.Metadata)
	if err != nil {
		return err
	}
	if _, there := s.byID[a.ID]; there {
		return errIDTaken()
	}
	for _, key := range a.FileKeys() {
		if lease, ok := s.leases[key]; !ok || lease.condemned {
			return domain.FileNotLeased()
		}
	}
	for _, key := range a.FileKeys() {
		delete(s.leases, key)
	}
	a.Metadata = nil
	if s.byID == nil {
		s.byID = map[string]asset{}
	}
	s.byID[a.ID] = asset{a, metadata}
	return nil
}

// Delete implements ports.AssetStore.
func (s *AssetStore) Delete(
	ctx context.Context, viewer, owner, id string, at time.Time, tell ...func(domain.Asset) domain.Event,
) error {
	if err := s.enter(ctx, "Delete"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key, _ := domain.ParseID(id)
	a, there := s.byID[key]
	switch {
	case !there, owner != "" && !a.VisibleTo(viewer):
		return domain.AssetNotFound()
	case owner != "" && a.Owner != owner:
		return domain.AssetNotYours()
	}
	told, err := stored(toldOf(domain.Asset{ID: a.ID, Owner: a.Owner, Category: a.Category}, tell))
	if err != nil {
		return err
	}
	s.Outbox.add(ctx, told)
	delete(s.byID, a.ID)
	for _, key := range a.FileKeys() {
		if _, leased := s.leases[key]; !leased {
			s.lease(key, at)
		}
	}
	return nil
}

// Downloaded implements ports.AssetStore.
func (s *AssetStore) Downloaded(ctx context.Context, id string) error {
	if err := s.enter(ctx, "Downloaded"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key, _ := domain.ParseID(id)
	if a, ok := s.byID[key]; ok {
		a.Downloads++
		s.byID[key] = a
	}
	return nil
}

// Bytes implements ports.AssetStore.
func (s *AssetStore) Bytes(ctx context.Context, owner string) (sum int64, err error) {
	if err := s.enter(ctx, "Bytes"); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.byID {
		if a.Owner == owner {
			sum += a.File.Size
		}
	}
	return sum, nil
}

// Lease implements ports.FileLeases.
func (s *AssetStore) Lease(ctx context.Context, l domain.FileLease) error {
	if err := s.enter(ctx, "Lease"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.leases[l.Key]; there {
		return domain.FileLeased()
	}
	s.lease(l.Key, l.Expires)
	return nil
}

// lease needs the lock.
func (s *AssetStore) lease(key string, until time.Time) {
	if s.leases == nil {
		s.leases = map[string]fileLease{}
	}
	s.leases[key] = fileLease{until: asStored(until)}
}

// EndLeases implements ports.FileLeases.
func (s *AssetStore) EndLeases(ctx context.Context, keys []string, at time.Time) error {
	if err := s.enter(ctx, "EndLeases"); err != nil {
		return err
	}
	return s.change(nil, keys, at)
}

// endLeases needs the lock.
func (s *AssetStore) endLeases(keys []string, at time.Time) {
	for _, key := range keys {
		if lease, ok := s.leases[key]; ok && !lease.condemned {
			lease.until = asStored(at)
			s.leases[key] = lease
		}
	}
}

// Condemn implements ports.FileLeases.
func (s *AssetStore) Condemn(ctx context.Context, now time.Time, limit int) ([]string, error) {
	if err := s.enter(ctx, "Condemn"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := []string{}
	for key, lease := range s.leases {
		if !lease.until.After(asStored(now)) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int {
		return cmp.Or(s.leases[a].until.Compare(s.leases[b].until), cmp.Compare(a, b))
	})
	keys = page(keys, limit, 0)
	for _, key := range keys {
		s.leases[key] = fileLease{until: asStored(now), condemned: true} // behind those that were never tried
	}
	return keys, nil
}

// Forget implements ports.FileLeases.
func (s *AssetStore) Forget(ctx context.Context, key string) error {
	if err := s.enter(ctx, "Forget"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.leases, key)
	return nil
}
