package procedural_test

import (
	"bytes"
	"image/png"
	"testing"

	"gaia/adapters/procedural"
	"gaia/domain"
	"gaia/ports"
)

var _ ports.AssetGenerator = (*procedural.Generator)(nil)

func begin(t *testing.T, seed int64, r domain.AssetRequest) domain.GeneratorTask {
	t.Helper()
	if r.Quality == "" {
		r.Quality = domain.AssetLow
	}
	task, err := procedural.New().Begin(t.Context(), domain.GenerationOrder{Token: "token", Stage: "make", Seed: seed, Request: r})
	if err != nil {
		t.Fatalf("%+v: %v", r, err)
	}
	if task.ID != "token" || task.Status != domain.TaskDone || task.Progress != 100 || len(task.Files) == 0 {
		t.Fatalf("%+v: %+v", r, task)
	}
	return task
}

func TestFilesCanBeRead(t *testing.T) {
	t.Parallel()
	for _, category := range domain.AssetCategories() {
		t.Run(string(category), func(t *testing.T) {
			t.Parallel()
			task := begin(t, 1, domain.AssetRequest{Category: category, Style: "fantasy", Description: "a glowing sword"})
			for _, f := range task.Files {
				if f.Format != "png" {
					continue
				}
				if _, err := png.Decode(bytes.NewReader(f.Data)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
