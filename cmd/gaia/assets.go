package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gaia/adapters/embedding"
	"gaia/adapters/folder"
	"gaia/adapters/httpapi"
	"gaia/adapters/mediafile"
	"gaia/adapters/s3"
	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

// assetsDir is where files of assets lie, in the data folder.
const assetsDir = "assets"

// checkAssets reports what loadConfig can't see from a type.
func (c *config) checkAssets() error {
	switch {
	case c.AssetLinks != "proxied" && c.AssetLinks != "direct":
		return errors.New("ASSET_LINKS: is neither proxied nor direct")
	case c.Procedural != "auto" && c.Procedural != "on" && c.Procedural != "off":
		return errors.New("PROCEDURAL_ASSETS: is neither auto, on nor off")
	case c.OwnerBytes < 0:
		return errors.New("ASSET_BYTES_PER_OWNER: is below 0")
	case c.MaxAssetMB < 1 || c.MaxPreviewMB < 1:
		return errors.New("MAX_ASSET_FILE_SIZE_MB and MAX_PREVIEW_IMAGE_SIZE_MB: must be 1 or more")
	case c.SearchLimit < 1 || c.SearchLimitMax > 100 || c.SearchLimit > c.SearchLimitMax:
		return errors.New("ASSET_SEARCH_LIMIT_DEFAULT and ASSET_SEARCH_LIMIT_MAX: must be between 1 and 100, and the first not above the second")
	case !(c.SearchThreshold > 0 && c.SearchThreshold <= 1):
		return errors.New("SEMANTIC_SEARCH_SIMILARITY_THRESHOLD: is not above 0 and at most 1")
	case !(c.MaxAssetCost >= 0):
		return errors.New("MAX_GENERATION_COST_PER_ASSET: is below 0")
	case c.MaxGenerations < 0:
		return errors.New("MAX_CONCURRENT_GENERATIONS: is below 0")
	case c.GenerationLease.duration() < 300*time.Millisecond:
		return errors.New("ASSET_GENERATION_LEASE: is below 0.3")
	case c.GenerationTime.duration() < time.Second || c.GenerationTime.duration() > domain.MaxRequestAge/2:
		return errors.New("ASSET_GENERATION_TIMEOUT: is not between a second and half an hour")
	case c.OrderPatience.duration() < time.Second:
		return errors.New("ASSET_GENERATION_PATIENCE: is below a second")
	case c.AssetLinkTTL.duration() < time.Second:
		return errors.New("ASSET_LINK_TTL: is below a second")
	default:
		return nil
	}
}

// openBlobs opens the storage of files. A folder links to its files only for a visitor, whose client is on the same machine.
func openBlobs(c config, where folders, sys *system) (ports.BlobStore, error) {
	kind, path, _ := strings.Cut(c.AssetStorageURL, "://")
	switch {
	case c.AssetStorageURL == "":
		path = filepath.Join(where.data, assetsDir)
	case kind == "file" && filepath.IsAbs(path):
	case kind == "s3":
		return openBucket(c, sys)
	default:
		return nil, errors.New("ASSET_STORAGE_URL: begins neither with file:/// nor with s3://")
	}
	open := folder.Open
	if where.visitor && c.PublicURL == "" {
		open = folder.OpenForThisMachine
	}
	store, err := open(path)
	if err != nil {
		return nil, err
	}
	sys.onClose(func() { _ = store.Close() })
	return store, nil
}

func openBucket(c config, sys *system) (ports.BlobStore, error) {
	options, err := s3.ParseURL(c.AssetStorageURL, c.AssetBucket)
	if err != nil {
		return nil, fmt.Errorf("ASSET_STORAGE_URL: %w", err)
	}
	options.Observe = sys.watchService("s3", hostOf("//"+options.Endpoint))
	store, err := s3.New(options)
	if err != nil {
		return nil, fmt.Errorf("ASSET_STORAGE_URL: %w", err)
	}
	sys.onClose(func() { _ = store.Close() })
	return store, nil
}

// openEmbedder gives nil when no model is configured.
func openEmbedder(c config) ports.Embedder {
	if c.EmbeddingModel == "" {
		return nil
	}
	return embedding.New(embedding.Config{URL: c.EmbeddingURL, Key: cmp.Or(c.EmbeddingKey, c.OpenAIKey), Model: c.EmbeddingModel})
}

// assetUses are the use cases of assets.
type assetUses struct {
	assets      *app.Assets
	generations *app.Generations
}

// openAssets opens the catalogue and the making of assets. Where this process serves assets it removes files that nobody needs in the
// background, and has assets made. Another one that offers them too leaves both to those who serve them, who share database, bus and storage
// with it. A visitor, who may be alone with the data, has made what is ordered in it. It stops before the database.
func (s *system) openAssets(c config, p parts, log *slog.Logger) (*app.Prices, assetUses, error) {
	prices, err := s.startPrices(c, p.db, log)
	if err != nil {
		return nil, assetUses{}, err
	}
	uses, err := s.openAssetsAt(c, p, prices, log)
	if err != nil {
		return nil, assetUses{}, err
	}
	s.runAssets(c, p.where.visitor, uses)
	return prices, uses, nil
}

func (s *system) openAssetsAt(c config, p parts, prices *app.Prices, log *slog.Logger) (u assetUses, err error) {
	direct := c.AssetLinks == "direct" || p.where.visitor && c.PublicURL == "" // there is nothing else to link to
	blobs, err := openBlobs(c, p.where, s)
	if err != nil {
		return u, err
	}
	s.need(domain.ServiceAsset, app.PartStorage, app.NewStorageProbe(blobs, c.ServiceHealthTTL.duration(), time.Now))
	inspection := app.NewInspection(mediafile.Inspector{}, app.InspectionConfig{})
	if c.AssetStorageURL == "" && c.DatabaseURL != "" {
		log.Warn("files of assets lie on this machine: if other processes use the same database, set ASSET_STORAGE_URL to a storage that they share", "folder", filepath.Join(p.where.data, assetsDir))
	}
	u.assets, err = app.NewAssets(app.AssetDeps{
		Store: p.db.assets, Leases: p.db.leases, Blobs: blobs, Media: inspection, Embedder: s.watchEmbedder(c, openEmbedder(c)),
		Meanings: p.db.meanings, Generation: p.db.generations.Get, Stored: p.relay.Wake,
		Troubled: func(what string, err error) {
			log.Error("something about assets failed", "what", what, "error", err.Error())
		},
		Now: time.Now, NewID: newID,
		Config: app.AssetConfig{
			MaxFile: int64(c.MaxAssetMB) << 20, OwnerBytes: c.OwnerBytes, Limit: c.SearchLimit, MaxLimit: c.SearchLimitMax, Similarity: c.SearchThreshold,
			LinkTTL:    c.AssetLinkTTL.duration(),
			LinkSecret: []byte(cmp.Or(c.AssetLinkSecret, p.apiKey)), DirectLinks: direct,
		},
	})
	if err != nil {
		return u, err
	}
	table, generators, err := openGenerators(c, s, log)
	if err != nil {
		return u, err
	}
	s.needGenerators(len(generators))
	works, err := s.watchAssetCost(p.db.generations)
	if err != nil {
		return u, err
	}
	tuned := c.generationConfig()
	tuned.OnlyOwn = p.where.visitor
	u.generations = app.NewGenerations(app.GenerationDeps{
		Store: works, Assets: p.db.assets, Leases: p.db.leases, Blobs: blobs, Inspector: inspection, Queue: p.bus.Generations(),
		Budgets: p.db.budgets, Table: table, Generators: generators, Prices: prices.Table, NewsURL: c.newsURL, Stored: p.relay.Wake, Watch: s.watchWork(),
		Troubled: func(id string, err error) {
			log.Error("the making of an asset could not go on; it is tried again", "asset", id, "error", err.Error())
		},
		Unknown: func(generator string) {
			log.Warn("a generator tells of a task that is not known", "generator", generator)
		},
		Stopping: s.stopping, Now: time.Now, NewID: newID, Config: tuned,
	})
	return u, nil
}

// runAssets works in the background. When the process is told to stop, no more work on assets is taken and no generator is asked any more, while
// requests still run.
func (s *system) runAssets(c config, visitor bool, u assetUses) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	if c.hosts(domain.ServiceAsset) {
		running.Go(func() { u.assets.Run(ctx) })
	}
	if (visitor || c.hosts(domain.ServiceAsset)) && c.MaxGenerations > 0 {
		running.Go(func() { u.generations.Run(ctx) })
	}
	running.Go(func() {
		select {
		case <-s.stopping:
			cancel()
		case <-ctx.Done():
		}
	})
	s.onEnd(cancel)
	s.onClose(func() { running.Wait(); u.generations.Close() })
}

func (c *config) generationConfig() app.GenerationConfig {
	return app.GenerationConfig{
		AtOnce: c.MaxGenerations, Patience: c.OrderPatience.duration(), Lease: c.GenerationLease.duration(),
		Poll: min(c.GenerationLease.duration(), 5*time.Second), MaxWait: c.GenerationWait.duration(), Timeout: c.GenerationTime.duration(), Ask: c.GenerationAsk.duration(),
		MaxCost: domain.FromDollars(c.MaxAssetCost), DailyBudget: domain.FromDollars(c.DailyBudget), BudgetLease: c.BudgetLease.duration(), OwnerBytes: c.OwnerBytes, MaxBytes: int64(c.MaxAssetMB) << 20,
		MaxPreview: int64(c.MaxPreviewMB) << 20, Public: c.GenerationsPublic,
	}
}

// keptGenerations is work that has ended.
func keptGenerations(c config, db database) app.Kept {
	return app.Kept{For: c.GenerationKept.duration(), Expire: db.generations.Expire}
}

// webhooks are the secrets of those who may tell of tasks.
func (c *config) webhooks() map[string]httpapi.Webhook {
	return map[string]httpapi.Webhook{
		domain.GeneratorMeshy:      {Secret: c.MeshySecret, Setting: "MESHY_WEBHOOK_SECRET"},
		domain.GeneratorMidjourney: {Secret: c.MidjourneySecret, Setting: "MIDJOURNEY_WEBHOOK_SECRET"},
		domain.GeneratorMubert:     {Secret: c.MubertSecret, Setting: "MUBERT_WEBHOOK_SECRET"},
	}
}

// newsURL is where a generator can send news of its tasks; empty when this server has no public address, or no secret for it.
func (c *config) newsURL(generator string) string {
	secret := c.webhooks()[generator].Secret
	if secret == "" || c.PublicURL == "" {
		return ""
	}
	return strings.TrimSuffix(c.PublicURL, "/") + "/webhooks/" + generator + "?" + url.Values{"token": {secret}}.Encode()
}

func loadGenerators(path string) (domain.GeneratorTable, error) {
	if path == "" {
		return domain.BuiltInGenerators(), nil
	}
	data, err := os.ReadFile(path) // #nosec G304 -- the operator has named it
	if err != nil {
		return domain.GeneratorTable{}, fmt.Errorf("GENERATORS_FILE: %w", err)
	}
	table, err := domain.ParseGenerators(data)
	if err != nil {
		return domain.GeneratorTable{}, fmt.Errorf("GENERATORS_FILE %s: %w", path, err)
	}
	return table, nil
}
