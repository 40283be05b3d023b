package httpapi

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"gaia/adapters/httpapi/internal/oapi"
	"gaia/domain"
)

// V02ListPersonas lists personas, newest first.
func (s *server) V02ListPersonas(ctx context.Context, r oapi.V02ListPersonasRequestObject) (oapi.V02ListPersonasResponseObject, error) {
	list, err := s.personas.List(ctx, r.Params.ActiveOnly == nil || *r.Params.ActiveOnly)
	if err != nil {
		return nil, err
	}
	return s.personaLists.render(ctx, list, page(r.Params.Limit, r.Params.Offset), r.Params.IfNoneMatch, envelopeV02)
}

// V1ListPersonas lists personas, newest first.
func (s *server) V1ListPersonas(ctx context.Context, r oapi.V1ListPersonasRequestObject) (oapi.V1ListPersonasResponseObject, error) {
	list, err := s.personas.List(ctx, r.Params.ActiveOnly == nil || *r.Params.ActiveOnly)
	if err != nil {
		return nil, err
	}
	return s.personaLists.render(ctx, list, page(r.Params.Limit, r.Params.Offset), r.Params.IfNoneMatch, envelopeV1)
}

// V02GetCurrentPersona returns the persona that answers the caller.
func (s *server) V02GetCurrentPersona(ctx context.Context, _ oapi.V02GetCurrentPersonaRequestObject) (oapi.V02GetCurrentPersonaResponseObject, error) {
	p, err := s.personas.Current(ctx, principalFrom(ctx))
	if err != nil {
		return nil, err
	}
	return oapi.V02GetCurrentPersona200JSONResponse(personaV02(p, oapi.PersonaResponseMessageCurrentPersonaRetrievedSuccessfully)), nil
}

// V1GetCurrentPersona returns the persona that answers the caller.
func (s *server) V1GetCurrentPersona(ctx context.Context, _ oapi.V1GetCurrentPersonaRequestObject) (oapi.V1GetCurrentPersonaResponseObject, error) {
	p, err := s.personas.Current(ctx, principalFrom(ctx))
	if err != nil {
		return nil, err
	}
	return oapi.V1GetCurrentPersona200JSONResponse(personaV1(p, oapi.PersonaV1ResponseMessageDefaultPersonaRetrievedSuccessfully)), nil
}

// V02GetPersona returns one active persona.
func (s *server) V02GetPersona(ctx context.Context, r oapi.V02GetPersonaRequestObject) (oapi.V02GetPersonaResponseObject, error) {
	p, err := s.personas.Get(ctx, r.PersonaId)
	if err != nil {
		return nil, err
	}
	return oapi.V02GetPersona200JSONResponse(personaV02(p, oapi.PersonaResponseMessagePersonaRetrievedSuccessfully)), nil
}

// V1GetPersona returns one active persona.
func (s *server) V1GetPersona(ctx context.Context, r oapi.V1GetPersonaRequestObject) (oapi.V1GetPersonaResponseObject, error) {
	p, err := s.personas.Get(ctx, r.PersonaId)
	if err != nil {
		return nil, err
	}
	return oapi.V1GetPersona200JSONResponse(personaV1(p, oapi.PersonaV1ResponseMessagePersonaRetrievedSuccessfully)), nil
}

// V02CreatePersona adds a persona.
func (s *server) V02CreatePersona(ctx context.Context, r oapi.V02CreatePersonaRequestObject) (oapi.V02CreatePersonaResponseObject, error) {
	p, err := s.personas.Create(ctx, principalFrom(ctx), personaDraftFromAPI(r.Body))
	if err != nil {
		return nil, err
	}
	return oapi.V02CreatePersona200JSONResponse(personaV02(p, oapi.PersonaResponseMessagePersonaCreatedSuccessfully)), nil
}

// V1CreatePersona adds a persona.
func (s *server) V1CreatePersona(ctx context.Context, r oapi.V1CreatePersonaRequestObject) (oapi.V1CreatePersonaResponseObject, error) {
	p, err := s.personas.Create(ctx, principalFrom(ctx), personaDraftFromAPI(r.Body))
	if err != nil {
		return nil, err
	}
	return oapi.V1CreatePersona200JSONResponse(personaV1(p, oapi.PersonaV1ResponseMessagePersonaCreatedSuccessfully)), nil
}

// V02UpdatePersona changes the fields that are given.
func (s *server) V02UpdatePersona(ctx context.Context, r oapi.V02UpdatePersonaRequestObject) (oapi.V02UpdatePersonaResponseObject, error) {
	p, err := s.personas.Update(ctx, principalFrom(ctx), r.PersonaId, personaPatchFromAPI(r.Body))
	if err != nil {
		return nil, err
	}
	return oapi.V02UpdatePersona200JSONResponse(personaV02(p, oapi.PersonaResponseMessagePersonaUpdatedSuccessfully)), nil
}

// V1UpdatePersona changes the fields that are given.
func (s *server) V1UpdatePersona(ctx context.Context, r oapi.V1UpdatePersonaRequestObject) (oapi.V1UpdatePersonaResponseObject, error) {
	p, err := s.personas.Update(ctx, principalFrom(ctx), r.PersonaId, personaPatchFromAPI(r.Body))
	if err != nil {
		return nil, err
	}
	return oapi.V1UpdatePersona200JSONResponse(personaV1(p, oapi.PersonaV1ResponseMessagePersonaUpdatedSuccessfully)), nil
}

// V02DeletePersona takes a persona out of use.
func (s *server) V02DeletePersona(ctx context.Context, r oapi.V02DeletePersonaRequestObject) (oapi.V02DeletePersonaResponseObject, error) {
	if err := s.personas.Delete(ctx, principalFrom(ctx), r.PersonaId); err != nil {
		return nil, err
	}
	return oapi.V02DeletePersona200JSONResponse{Success: true, Message: "Persona deleted successfully", PersonaId: uuid.MustParse(r.PersonaId)}, nil
}

// V1DeletePersona takes a persona out of use.
func (s *server) V1DeletePersona(ctx context.Context, r oapi.V1DeletePersonaRequestObject) (oapi.V1DeletePersonaResponseObject, error) {
	if err := s.personas.Delete(ctx, principalFrom(ctx), r.PersonaId); err != nil {
		return nil, err
	}
	return oapi.V1DeletePersona200JSONResponse{Message: "Persona deleted successfully"}, nil
}

// V02SetCurrentPersona chooses the persona that answers the caller.
func (s *server) V02SetCurrentPersona(ctx context.Context, r oapi.V02SetCurrentPersonaRequestObject) (oapi.V02SetCurrentPersonaResponseObject, error) {
	c, err := s.personas.Choose(ctx, principalFrom(ctx), r.Body.PersonaId)
	if err != nil {
		return nil, err
	}
	return oapi.V02SetCurrentPersona200JSONResponse{
		Success: true, Message: "Active persona set to " + c.Persona.Name, PersonaId: uuid.MustParse(c.Persona.ID), PersonaName: c.Persona.Name,
	}, nil
}

// V1SetCurrentPersona chooses the persona that answers the caller.
func (s *server) V1SetCurrentPersona(ctx context.Context, r oapi.V1SetCurrentPersonaRequestObject) (oapi.V1SetCurrentPersonaResponseObject, error) {
	c, err := s.personas.Choose(ctx, principalFrom(ctx), r.Body.PersonaId)
	if err != nil {
		return nil, err
	}
	return oapi.V1SetCurrentPersona200JSONResponse{
		Message: oapi.PersonaSetSuccessfully, UserId: c.Owner, PersonaId: uuid.MustParse(c.Persona.ID), UpdatedAt: c.At,
	}, nil
}

// V02InitializeDefaultPersona makes sure that the default persona is there.
func (s *server) V02InitializeDefaultPersona(ctx context.Context, _ oapi.V02InitializeDefaultPersonaRequestObject) (oapi.V02InitializeDefaultPersonaResponseObject, error) {
	p, created, err := s.personas.EnsureDefault(ctx)
	if err != nil {
		return nil, err
	}
	message := oapi.DefaultPersonaAlreadyExists
	if created {
		message = oapi.DefaultPersonaCreatedSuccessfully
	}
	return oapi.V02InitializeDefaultPersona200JSONResponse{Success: true, Message: message, Persona: personaToAPI(p), WasCreated: created}, nil
}

// V1InitializeDefaultPersona makes sure that the default persona is there.
func (s *server) V1InitializeDefaultPersona(ctx context.Context, _ oapi.V1InitializeDefaultPersonaRequestObject) (oapi.V1InitializeDefaultPersonaResponseObject, error) {
	p, _, err := s.personas.EnsureDefault(ctx)
	if err != nil {
		return nil, err
	}
	return oapi.V1InitializeDefaultPersona200JSONResponse(personaV1(p, oapi.PersonaV1ResponseMessageDefaultPersonaInitializedSuccessfully)), nil
}

var envelopeV02 = listEnvelope{wrap: func(personas []oapi.Persona, total int) any {
	return oapi.PersonaListResponse{Success: true, Personas: personas, Total: total, Message: fmt.Sprintf("Found %d personas", total)}
}}

var envelopeV1 = listEnvelope{v1: true, wrap: func(personas []oapi.Persona, total int) any {
	return oapi.PersonaListV1Response{Personas: personas, Total: total, Message: oapi.PersonasRetrievedSuccessfully}
}}

func personaV02(p domain.Persona, message oapi.PersonaResponseMessage) oapi.PersonaResponse {
	return oapi.PersonaResponse{Success: true, Message: message, Persona: personaToAPI(p)}
}

func personaV1(p domain.Persona, message oapi.PersonaV1ResponseMessage) oapi.PersonaV1Response {
	return oapi.PersonaV1Response{Message: message, Persona: personaToAPI(p)}
}

func personaToAPI(p domain.Persona) oapi.Persona {
	return oapi.Persona{
		Id: uuid.MustParse(p.ID), Name: p.Name, Description: p.Description, SystemPrompt: p.SystemPrompt,
		PersonalityTraits: p.Traits, Capabilities: p.Capabilities, IsActive: p.Active,
		CreatedBy: nilIfEmpty(p.CreatedBy), CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt,
	}
}

func personaDraftFromAPI(b *oapi.PersonaCreate) domain.PersonaDraft {
	return domain.PersonaDraft{
		Name: b.Name, Description: b.Description, SystemPrompt: b.SystemPrompt, Active: b.IsActive,
		Traits: attributes(b.PersonalityTraits), Capabilities: attributes(b.Capabilities),
	}
}

func personaPatchFromAPI(b *oapi.PersonaUpdate) domain.PersonaPatch {
	return domain.PersonaPatch{
		Name: b.Name, Description: b.Description, SystemPrompt: b.SystemPrompt, Active: b.IsActive,
		Traits: attributes(b.PersonalityTraits), Capabilities: attributes(b.Capabilities),
	}
}

func attributes[M ~map[string]any](m *M) map[string]any {
	if m == nil {
		return nil
	}
	return *m
}

func nilIfEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
