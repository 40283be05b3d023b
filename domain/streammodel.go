package domain

import (
	"cmp"
	"slices"
)

// StreamModel is how a model behaves when it streams.
type StreamModel struct {
	Model
	FirstTokenMS float64 // measured, or as expected
	TimeKnown    bool
	SuitsVR      bool // its first token comes fast enough
}

// StreamModels are the models of the catalogue that stream, in its order.
func (s ModelSelector) StreamModels(m Measurements) []StreamModel {
	var list []StreamModel
	for _, model := range s.Catalogue.models {
		if !model.Can(CapabilityStreaming) {
			continue
		}
		ms, known := m.FirstTokenMS(model)
		list = append(list, StreamModel{Model: model, FirstTokenMS: ms, TimeKnown: known, SuitsVR: known && ms < vrMS})
	}
	return list
}

// Fastest sorts models by the time to their first token and leaves out those of which none is known.
func Fastest(list []StreamModel) []StreamModel {
	sorted := slices.DeleteFunc(slices.Clone(list), func(m StreamModel) bool { return !m.TimeKnown })
	slices.SortStableFunc(sorted, func(a, b StreamModel) int { return cmp.Compare(a.FirstTokenMS, b.FirstTokenMS) })
	return sorted
}

// SuitVR keeps the models that suit VR.
func SuitVR(list []StreamModel) []StreamModel {
	return slices.DeleteFunc(slices.Clone(list), func(m StreamModel) bool { return !m.SuitsVR })
}

// StreamRanking says which streaming models come first, and which to take for typical needs.
type StreamRanking struct {
	All     []StreamModel
	Fastest []StreamModel
	Best    []StreamModel // by quality; without those that nobody has judged
	VR      []StreamModel // the fastest first

	// Ids of models that can be used now; empty where none fits.
	ForVR, ForQuality, Balanced, ForEmergency string
}

// RankStreams ranks the models that stream.
func (s ModelSelector) RankStreams(m Measurements) StreamRanking {
	all := s.StreamModels(m)
	fastest, usable := Fastest(all), s.usableStreams(all, m)
	best := bestFirst(all)
	r := StreamRanking{
		All: all, Fastest: fastest, Best: best, VR: SuitVR(fastest),
		ForVR: firstID(SuitVR(Fastest(usable))), ForQuality: firstID(bestFirst(usable)), ForEmergency: firstID(Fastest(usable)),
	}
	if balanced, err := s.Recommend(ModelRequest{Priority: PriorityBalanced, ContextType: defaultContext}, m); err == nil {
		r.Balanced = balanced.Model
	}
	return r
}

// VRModels are the models that suit VR and can be used now, the fastest first.
func (s ModelSelector) VRModels(m Measurements) []StreamModel {
	return SuitVR(Fastest(s.usableStreams(s.StreamModels(m), m)))
}

func (s ModelSelector) usableStreams(list []StreamModel, m Measurements) []StreamModel {
	return slices.DeleteFunc(slices.Clone(list), func(model StreamModel) bool { return !s.mayChoose(model.Model) || !m.usable(model.Provider) })
}

func bestFirst(list []StreamModel) []StreamModel {
	sorted := slices.DeleteFunc(slices.Clone(list), func(m StreamModel) bool { return m.QualityScore <= 0 })
	slices.SortStableFunc(sorted, func(a, b StreamModel) int { return cmp.Compare(b.QualityScore, a.QualityScore) })
	return sorted
}

func firstID(list []StreamModel) string {
	if len(list) == 0 {
		return ""
	}
	return list[0].ID
}
