package httpapi

import (
	"context"
	"fmt"
	"math"

	"gaia/adapters/httpapi/internal/oapi"
	"gaia/domain"
)

// V02ListStreamModels lists the models that stream.
func (s *server) V02ListStreamModels(context.Context, oapi.V02ListStreamModelsRequestObject) (oapi.V02ListStreamModelsResponseObject, error) {
	return oapi.V02ListStreamModels200JSONResponse{
		Models: streamModelsToAPI(s.models.Streams().All), DefaultSelection: oapi.Intelligent,
		SelectionCriteria: []oapi.StreamSelectionCriterion{
			oapi.MessageContent, oapi.ActivityContext, oapi.UserPreferences, oapi.PerformanceRequirements,
		},
	}, nil
}

// V02GetStreamModelPerformance ranks the models that stream.
func (s *server) V02GetStreamModelPerformance(context.Context, oapi.V02GetStreamModelPerformanceRequestObject) (oapi.V02GetStreamModelPerformanceResponseObject, error) {
	r := s.models.Streams()
	answer := oapi.StreamModelPerformance{
		AllModels: []oapi.StreamModelRow{},
		Rankings: oapi.StreamModelRankings{
			FastestTtft: []oapi.StreamLatencyRank{}, HighestQuality: []oapi.StreamQualityRank{}, VrSuitable: []oapi.StreamVRModel{},
		},
		Recommendations: oapi.StreamModelRecommendations{
			VrBest: nilIfEmpty(r.ForVR), QualityBest: nilIfEmpty(r.ForQuality), Balanced: nilIfEmpty(r.Balanced), Emergency: nilIfEmpty(r.ForEmergency),
		},
	}
	for _, m := range r.All {
		answer.AllModels = append(answer.AllModels, oapi.StreamModelRow{
			ModelId: m.ID, Name: m.Name, AvgTtftMs: firstTokenToAPI(m), QualityScore: outOfTen(m), VrSuitable: m.SuitsVR,
		})
	}
	for i, m := range r.Fastest {
		answer.Rankings.FastestTtft = append(answer.Rankings.FastestTtft, oapi.StreamLatencyRank{Rank: i + 1, Model: m.Name, TtftMs: wholeMS(m)})
	}
	for i, m := range r.Best {
		answer.Rankings.HighestQuality = append(answer.Rankings.HighestQuality, oapi.StreamQualityRank{Rank: i + 1, Model: m.Name, Quality: outOfTen(m)})
	}
	for _, m := range r.VR {
		answer.Rankings.VrSuitable = append(answer.Rankings.VrSuitable, oapi.StreamVRModel{Model: m.Name, TtftMs: wholeMS(m)})
	}
	return oapi.V02GetStreamModelPerformance200JSONResponse(answer), nil
}

// V02GetVRModelRecommendation recommends a model for VR.
func (s *server) V02GetVRModelRecommendation(context.Context, oapi.V02GetVRModelRecommendationRequestObject) (oapi.V02GetVRModelRecommendationResponseObject, error) {
	list := s.models.ForVR()
	answer := oapi.StreamVRRecommendation{Alternatives: []oapi.StreamModel{}, Timestamp: timestamp(s.now())}
	if len(list) == 0 {
		answer.Reasoning = "No model of a configured and healthy provider is fast enough for VR."
		return oapi.V02GetVRModelRecommendation200JSONResponse(answer), nil
	}
	best := list[0]
	answer.RecommendedModel, answer.Provider, answer.AvgTtftMs = &best.ID, &best.Provider, firstTokenToAPI(best)
	answer.Reasoning = fmt.Sprintf("%s sends its first token soonest of the models that suit VR: after about %d ms.", best.Name, wholeMS(best))
	answer.Alternatives = streamModelsToAPI(list[1:])
	return oapi.V02GetVRModelRecommendation200JSONResponse(answer), nil
}

func streamModelsToAPI(models []domain.StreamModel) []oapi.StreamModel {
	list := []oapi.StreamModel{}
	for _, m := range models {
		list = append(list, oapi.StreamModel{
			ModelId: m.ID, Name: m.Name, Provider: oapi.ProviderID(m.Provider), AvgTtftMs: firstTokenToAPI(m), QualityScore: outOfTen(m), VrSuitable: m.SuitsVR,
		})
	}
	return list
}

// firstTokenToAPI is null while nobody knows the time.
func firstTokenToAPI(m domain.StreamModel) *int {
	if !m.TimeKnown {
		return nil
	}
	ms := wholeMS(m)
	return &ms
}

func wholeMS(m domain.StreamModel) int { return int(math.Round(m.FirstTokenMS)) }

// outOfTen is a score as these routes have always shown it.
func outOfTen(m domain.StreamModel) float64 { return math.Round(m.QualityScore*1000) / 100 }
