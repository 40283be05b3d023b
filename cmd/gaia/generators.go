package main

import (
	"cmp"
	"log/slog"
	"time"

	"gaia/adapters/freesound"
	"gaia/adapters/meshy"
	"gaia/adapters/midjourney"
	"gaia/adapters/mubert"
	"gaia/adapters/openaiimages"
	"gaia/adapters/procedural"
	"gaia/adapters/stability"
	"gaia/domain"
	"gaia/ports"
)

// openGenerators makes those that are configured, by their ids in the table.
func openGenerators(c config, sys *system, log *slog.Logger) (domain.GeneratorTable, map[string]ports.AssetGenerator, error) {
	table, err := loadGenerators(c.GeneratorsFile)
	if err != nil {
		return domain.GeneratorTable{}, nil, err
	}
	if c.OpenAIImageModel != "" {
		table = table.WithModel(domain.GeneratorOpenAI, c.OpenAIImageModel)
	}
	generators := map[string]ports.AssetGenerator{}
	add := func(id string, g ports.AssetGenerator) {
		generators[id] = g
		if idle, ok := g.(interface{ CloseIdle() }); ok {
			sys.onClose(idle.CloseIdle)
		}
	}
	if c.OpenAIKey != "" {
		add(domain.GeneratorOpenAI, openaiimages.New(openaiimages.Config{URL: c.OpenAIURL, Key: c.OpenAIKey}))
	}
	if c.StabilityKey != "" {
		add(domain.GeneratorStability, stability.New(stability.Config{URL: c.StabilityURL, Key: c.StabilityKey}))
	}
	if c.MidjourneyURL != "" {
		add(domain.GeneratorMidjourney, midjourney.New(midjourney.Config{URL: c.MidjourneyURL, Key: c.MidjourneyKey, Now: time.Now}))
	}
	if c.MeshyKey != "" || c.MeshyTestMode {
		key := cmp.Or(c.MeshyKey, meshy.TestKey)
		if c.MeshyTestMode {
			key = meshy.TestKey
		}
		add(domain.GeneratorMeshy, meshy.New(meshy.Config{URL: c.MeshyURL, Key: key}))
	}
	if c.MubertKey != "" && c.MubertCustomer != "" {
		add(domain.GeneratorMubert, mubert.New(mubert.Config{URL: c.MubertURL, Customer: c.MubertCustomer, Key: c.MubertKey, Now: time.Now}))
	} else if c.MubertKey != "" {
		log.Warn("Mubert makes no music: MUBERT_CUSTOMER_ID is missing")
	}
	if c.FreesoundKey != "" {
		add(domain.GeneratorFreesound, freesound.New(freesound.Config{URL: c.FreesoundURL, Key: c.FreesoundKey}))
	}
	if c.Procedural == "on" || c.Procedural == "auto" && !c.production() {
		add(domain.GeneratorProcedural, procedural.New())
	}
	sys.watchGenerators(c, table, generators)
	return table, generators, nil
}
