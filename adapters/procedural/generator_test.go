package procedural_test

import (
	"bytes"
	"context"
	"errors"
	"image/jpeg"
	"image/png"
	"strings"
	"sync"
	"testing"

	"gaia/adapters/procedural"
	"gaia/domain"
	"gaia/ports"
)

var _ ports.AssetGenerator = (*procedural.Generator)(nil)

func order(seed int64, r domain.AssetRequest) domain.GenerationOrder {
	if r.Quality == "" {
		r.Quality = domain.AssetLow
	}
	return domain.GenerationOrder{Token: "token", Stage: "make", Seed: seed, Request: r}
}

func begin(t *testing.T, o domain.GenerationOrder) domain.GeneratorTask {
	t.Helper()
	task, err := procedural.New().Begin(t.Context(), o)
	if err != nil {
		t.Fatalf("%+v: %v", o.Request, err)
	}
	if task.ID != "token" || task.Status != domain.TaskDone || task.Progress != 100 || len(task.Files) == 0 {
		t.Fatalf("%+v: %+v", o.Request, task)
	}
	return task
}

func TestEveryCategoryComesWithAPicture(t *testing.T) {
	t.Parallel()
	for _, category := range domain.AssetCategories() {
		t.Run(string(category), func(t *testing.T) {
			t.Parallel()
			task := begin(t, order(42, domain.AssetRequest{Category: category, Style: "fantasy", Description: "a glowing sword"}))
			picture := task.Files[0]
			if flat := category == domain.AssetImage || category == domain.AssetTexture; !flat {
				if len(task.Files) != 2 || !task.Files[1].Preview {
					t.Fatalf("%d files", len(task.Files))
				}
				picture = task.Files[1]
			}
			if _, err := png.Decode(bytes.NewReader(picture.Data)); err != nil || picture.Format != "png" {
				t.Errorf("%s: %v", picture.Format, err)
			}
			first := task.Files[0]
			if first.Preview || first.License != domain.LicensePublicDomain || first.Attributes["seed"] != int64(42) || first.Attributes["archetype"] == "" {
				t.Errorf("%+v", first.Attributes)
			}
		})
	}
}

func TestJPEG(t *testing.T) {
	t.Parallel()
	task := begin(t, order(1, domain.AssetRequest{Category: domain.AssetTexture, Style: "x", Description: "grass", Format: "jpg", MaxBytes: 9000}))
	picture, err := jpeg.Decode(bytes.NewReader(task.Files[0].Data))
	if err != nil {
		t.Fatal(err)
	}
	if len(task.Files[0].Data) > 9000 || picture.Bounds().Dx() != task.Files[0].Attributes["width"] {
		t.Errorf("%d bytes, %v, %v", len(task.Files[0].Data), picture.Bounds(), task.Files[0].Attributes)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		r    domain.AssetRequest
		base *domain.BaseFile
		want string
	}{
		"category": {domain.AssetRequest{Category: "smell"}, nil, "category"},
		"format":   {domain.AssetRequest{Category: domain.AssetProp, Format: "fbx"}, nil, "ask for glb, gltf"},
		"polygons": {domain.AssetRequest{Category: domain.AssetProp, MaxPolygons: 11}, nil, "has 12 polygons"},
		"model":    {domain.AssetRequest{Category: domain.AssetCharacter, MaxBytes: 100}, nil, "larger file"},
		"picture":  {domain.AssetRequest{Category: domain.AssetImage, MaxBytes: 60}, nil, "larger file"},
		"sound":    {domain.AssetRequest{Category: domain.AssetAudio, MaxBytes: 1000}, nil, "larger file"},
		"no model": {domain.AssetRequest{Category: domain.AssetProp}, &domain.BaseFile{Data: []byte("glTF nonsense")}, "cannot be read"},
		"no image": {domain.AssetRequest{Category: domain.AssetImage}, &domain.BaseFile{Data: []byte("nonsense")}, "cannot be read"},
		"audio":    {domain.AssetRequest{Category: domain.AssetAudio}, &domain.BaseFile{Data: []byte("RIFF")}, "cannot change"},
	} {
		o := order(1, c.r)
		o.Base = c.base
		_, err := procedural.New().Begin(t.Context(), o)
		if domain.KindOf(err) != domain.BadRequest || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNothingIsKept(t *testing.T) {
	t.Parallel()
	g := procedural.New()
	o := order(1, domain.AssetRequest{Category: domain.AssetProp, Description: "key"})
	if stages := g.Stages(o); len(stages) != 1 {
		t.Errorf("stages: %q", stages)
	}
	_, found := g.Find(t.Context(), o)
	_, checked := g.Check(t.Context(), o, "token")
	_, fetched := g.Fetch(t.Context(), domain.GeneratedFile{}, 1)
	for _, err := range []error{found, checked, fetched} {
		if domain.KindOf(err) != domain.NotFound {
			t.Error(err)
		}
	}
	if err := g.Cancel(t.Context(), "token"); err != nil {
		t.Error(err)
	}
}

func TestAnEndedContextEndsIt(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, category := range domain.AssetCategories() {
		_, err := procedural.New().Begin(ctx, order(1, domain.AssetRequest{Category: category, Description: "castle", Quality: domain.AssetUltra}))
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", category, err)
		}
	}
}

func TestManyAtOnceMakeTheSame(t *testing.T) {
	t.Parallel()
	g := procedural.New()
	o := order(5, domain.AssetRequest{Category: domain.AssetProp, Style: "fantasy", Description: "a crystal ring"})
	var results [4][]byte
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() {
			if task, err := g.Begin(context.Background(), o); err == nil {
				results[i] = append(task.Files[0].Data, task.Files[1].Data...)
			}
		})
	}
	all.Wait()
	for _, r := range results {
		if len(r) == 0 || !bytes.Equal(r, results[0]) {
			t.Error("not the same bytes")
		}
	}
}
