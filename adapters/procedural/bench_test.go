package procedural_test

import (
	"testing"

	"gaia/adapters/procedural"
	"gaia/domain"
)

func BenchmarkBegin(b *testing.B) {
	for name, r := range map[string]domain.AssetRequest{
		"prop":      {Category: domain.AssetProp, Style: "fantasy", Description: "a glowing sword"},
		"character": {Category: domain.AssetCharacter, Style: "realistic", Description: "a knight"},
		"landscape": {Category: domain.AssetEnvironment, Style: "realistic", Description: "an island"},
		"texture":   {Category: domain.AssetTexture, Style: "realistic", Description: "red brick wall"},
		"image":     {Category: domain.AssetImage, Style: "realistic", Description: "a castle at sunset"},
		"sound":     {Category: domain.AssetAudio, Style: "realistic", Description: "rain 5 seconds"},
	} {
		b.Run(name, func(b *testing.B) {
			r.Quality = domain.AssetMedium
			g := procedural.New()
			for b.Loop() {
				if _, err := g.Begin(b.Context(), domain.GenerationOrder{Seed: 1, Request: r}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
