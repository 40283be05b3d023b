package httpapi

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gaia/adapters/httpapi/internal/oapi"
	"gaia/app"
	"gaia/domain"
)

// V02ListModels lists the catalogue, filtered.
func (s *server) V02ListModels(_ context.Context, r oapi.V02ListModelsRequestObject) (oapi.V02ListModelsResponseObject, error) {
	list := s.models.List(app.ModelFilter{Provider: deref(r.Params.Provider), Capability: deref(r.Params.Capability)})
	answer := oapi.ModelList{
		Models: []oapi.ModelSummary{}, Total: len(list), Filters: oapi.ModelFilters{Provider: r.Params.Provider, Capability: r.Params.Capability},
	}
	for _, m := range cut(list, page(r.Params.Limit, r.Params.Offset)) {
		answer.Models = append(answer.Models, oapi.ModelSummary{
			Id: m.ID, Name: m.Name, Provider: oapi.ProviderID(m.Provider), Capabilities: capabilitiesToAPI(m.Capabilities),
			MaxTokens: m.MaxTokens, ContextWindow: m.ContextWindow,
		})
	}
	return oapi.V02ListModels200JSONResponse(answer), nil
}

// V02GetModel shows all that is known of a model.
func (s *server) V02GetModel(_ context.Context, r oapi.V02GetModelRequestObject) (oapi.V02GetModelResponseObject, error) {
	m, takes, err := s.models.Get(r.ModelId)
	if err != nil {
		return nil, err
	}
	return oapi.V02GetModel200JSONResponse{
		Id: m.ID, Name: m.Name, Provider: oapi.ProviderID(m.Provider), Capabilities: capabilitiesToAPI(m.Capabilities),
		MaxTokens: m.MaxTokens, ContextWindow: m.ContextWindow, CostPerInputToken: m.CostPerInputToken, CostPerOutputToken: m.CostPerOutputToken,
		AvgResponseTimeMs: int(takes.Round(time.Millisecond).Milliseconds()), QualityScore: m.QualityScore, SpeedScore: m.SpeedScore,
		Description: m.Description, IsDeprecated: m.Deprecated, SupportsSystemPrompt: true, SupportsTemperature: true,
		SupportsStreaming: m.Can(domain.CapabilityStreaming),
	}, nil
}

// V02RecommendModel answers which model a selection would take.
func (s *server) V02RecommendModel(_ context.Context, r oapi.V02RecommendModelRequestObject) (oapi.V02RecommendModelResponseObject, error) {
	q := r.Body
	request := modelRequestFromAPI(nil, nil, nil, q.Priority, q.ContextType, q.RequiredCapabilities, q.MaxResponseTimeMs, q.Activity)
	request.Message, request.PreferredProvider = q.Message, string(deref(q.PreferredProvider))
	choice, err := s.models.Recommend(request)
	if err != nil {
		return nil, err
	}
	answer := oapi.ModelRecommendation{
		RecommendedModel: choice.Model, Provider: oapi.ProviderID(choice.Provider), Confidence: choice.Confidence, Reasoning: choice.Reasoning,
		ContextType: oapi.ModelContextType(choice.ContextType), Priority: oapi.ModelPriority(choice.Priority),
		EstimatedCost: choice.EstimatedCost.Dollars(), EstimatedResponseTimeMs: int(choice.ResponseTime.Round(time.Millisecond).Milliseconds()),
		FallbackModels: []oapi.ModelID{},
	}
	for _, other := range choice.Alternatives {
		answer.FallbackModels = append(answer.FallbackModels, other.Model)
	}
	return oapi.V02RecommendModel200JSONResponse(answer), nil
}

var capabilityTexts = map[string]string{
	domain.CapabilityChat:        "Answers messages.",
	domain.CapabilityTools:       "Calls tools that the request describes.",
	domain.CapabilityVision:      "Understands images in messages.",
	domain.CapabilityCode:        "Writes and explains code.",
	domain.CapabilityMultimodal:  "Takes text and images together.",
	domain.CapabilityStreaming:   "Sends its answer while it is written.",
	domain.CapabilityLongContext: "Keeps long documents and conversations in view.",
}

// V02ListModelCapabilities says what models can do, and which can.
func (s *server) V02ListModelCapabilities(context.Context, oapi.V02ListModelCapabilitiesRequestObject) (oapi.V02ListModelCapabilitiesResponseObject, error) {
	answer := oapi.ModelCapabilityCatalog{Total: len(domain.Capabilities())}
	for _, id := range domain.Capabilities() {
		answer.Capabilities = append(answer.Capabilities, oapi.ModelCapabilityInfo{
			Id: oapi.ModelCapability(id), Description: capabilityTexts[id], Models: modelIDs(s.models.List(app.ModelFilter{Capability: id})),
		})
	}
	return oapi.V02ListModelCapabilities200JSONResponse(answer), nil
}

var priorityTexts = map[string]string{
	domain.PrioritySpeed:    "The model that answers soonest.",
	domain.PriorityQuality:  "The model with the best answers.",
	domain.PriorityBalanced: "Good answers in good time.",
	domain.PriorityVR:       "Fast enough for a scene that can't wait, and streaming.",
	domain.PriorityCost:     "The cheapest model that is good enough.",
}

// V02ListModelPriorities says what can matter most, and which models come first then.
func (s *server) V02ListModelPriorities(context.Context, oapi.V02ListModelPrioritiesRequestObject) (oapi.V02ListModelPrioritiesResponseObject, error) {
	answer, ranked := oapi.ModelPriorityCatalog{Total: len(domain.Priorities())}, s.models.ByPriority()
	for _, id := range domain.Priorities() {
		answer.Priorities = append(answer.Priorities, oapi.ModelPriorityInfo{
			Id: oapi.ModelPriority(id), Description: priorityTexts[id], Models: modelIDs(ranked[id]),
		})
	}
	return oapi.V02ListModelPriorities200JSONResponse(answer), nil
}

var contextTexts = map[string]string{
	"greeting":     "A short greeting",
	"conversation": "Any message that is nothing special",
	"technical":    "A question about code or technology",
	"creative":     "Something to be written or designed",
	"vr":           "A user inside a VR, AR or XR scene",
	"emergency":    "Something that can't wait",
	"multimodal":   "A message about images",
}

// V02ListModelContexts says which situations a selection tells apart, what each demands, and which models it takes.
func (s *server) V02ListModelContexts(context.Context, oapi.V02ListModelContextsRequestObject) (oapi.V02ListModelContextsResponseObject, error) {
	answer, ranked := oapi.ModelContextCatalog{Total: len(domain.Contexts())}, s.models.ByContext()
	for _, c := range domain.Contexts() {
		answer.Contexts = append(answer.Contexts, oapi.ModelContextInfo{
			Id: oapi.ModelContextType(c.ID), Models: modelIDs(ranked[c.ID]),
			Description: fmt.Sprintf("%s: priority %s, within %d ms, with %s.",
				contextTexts[c.ID], c.Priority, c.MaxResponseTime.Milliseconds(), strings.Join(c.Capabilities, ", ")),
		})
	}
	return oapi.V02ListModelContexts200JSONResponse(answer), nil
}

// V1ListModels lists the models that can be used, for OpenAI clients.
func (s *server) V1ListModels(context.Context, oapi.V1ListModelsRequestObject) (oapi.V1ListModelsResponseObject, error) {
	answer := oapi.OpenAIModelList{Object: "list", Data: []oapi.OpenAIModel{}}
	for _, m := range s.models.Usable() {
		answer.Data = append(answer.Data, openAIModelToAPI(m))
	}
	return oapi.V1ListModels200JSONResponse(answer), nil
}

// V1GetModel shows a model that can be used, for OpenAI clients.
func (s *server) V1GetModel(_ context.Context, r oapi.V1GetModelRequestObject) (oapi.V1GetModelResponseObject, error) {
	m, err := s.models.GetUsable(r.Model)
	if err != nil {
		return nil, err
	}
	return oapi.V1GetModel200JSONResponse(openAIModelToAPI(m)), nil
}

func openAIModelToAPI(m domain.Model) oapi.OpenAIModel {
	return oapi.OpenAIModel{Id: m.ID, Object: "model", Created: m.Created, OwnedBy: m.Provider}
}

func capabilitiesToAPI(capabilities []string) oapi.ModelCapabilityList {
	list := oapi.ModelCapabilityList{}
	for _, c := range capabilities {
		list = append(list, oapi.ModelCapability(c))
	}
	return list
}

func modelIDs(models []domain.Model) oapi.ModelIDList {
	ids := oapi.ModelIDList{}
	for _, m := range models {
		ids = append(ids, m.ID)
	}
	return ids
}
