package httpapi

import (
	"context"
	"time"

	"gaia/adapters/httpapi/internal/oapi"
	"gaia/app"
	"gaia/domain"
)

const (
	apiKeysPage  = 50
	defaultGrace = 86_400 // seconds
)

// V1ListApiKeys lists the caller's keys.
func (s *server) V1ListApiKeys(ctx context.Context, r oapi.V1ListApiKeysRequestObject) (oapi.V1ListApiKeysResponseObject, error) {
	list, total, err := s.apiKeys.List(ctx, principalFrom(ctx), valueOr(r.Params.Limit, apiKeysPage), valueOr(r.Params.Offset, 0))
	if err != nil {
		return nil, err
	}
	page := oapi.V1ListApiKeys200JSONResponse{ApiKeys: make([]oapi.ApiKey, len(list)), Total: total}
	for i, k := range list {
		page.ApiKeys[i] = apiKeyToAPI(k, s.now())
	}
	return page, nil
}

// V1CreateApiKey makes a key.
func (s *server) V1CreateApiKey(ctx context.Context, r oapi.V1CreateApiKeyRequestObject) (oapi.V1CreateApiKeyResponseObject, error) {
	draft := domain.APIKeyDraft{Name: r.Body.Name, ExpiresAt: valueOr(r.Body.ExpiresAt, time.Time{})}
	for _, scope := range r.Body.Scopes {
		draft.Scopes = append(draft.Scopes, string(scope))
	}
	if r.Body.Tools != nil { // an empty list is not the same as none
		draft.Tools = []string{}
	}
	draft.Tools = append(draft.Tools, r.Body.Tools...)
	text, key, err := s.apiKeys.Create(ctx, principalFrom(ctx), draft)
	if err != nil {
		return nil, err
	}
	return oapi.V1CreateApiKey200JSONResponse{ApiKey: text, Key: apiKeyToAPI(key, s.now())}, nil
}

// V1RevokeApiKey makes a key useless.
func (s *server) V1RevokeApiKey(ctx context.Context, r oapi.V1RevokeApiKeyRequestObject) (oapi.V1RevokeApiKeyResponseObject, error) {
	key, err := s.apiKeys.Revoke(ctx, principalFrom(ctx), r.KeyId)
	if err != nil {
		return nil, err
	}
	return oapi.V1RevokeApiKey200JSONResponse(apiKeyToAPI(key, s.now())), nil
}

// V1RotateApiKey replaces a key.
func (s *server) V1RotateApiKey(ctx context.Context, r oapi.V1RotateApiKeyRequestObject) (oapi.V1RotateApiKeyResponseObject, error) {
	grace := time.Duration(valueOr(r.Body.GracePeriodSeconds, defaultGrace)) * time.Second
	rotated, err := s.apiKeys.Rotate(ctx, principalFrom(ctx), r.KeyId, grace)
	if err != nil {
		return nil, err
	}
	return rotatedToAPI(rotated, s.now()), nil
}

func rotatedToAPI(r app.RotatedKey, now time.Time) oapi.V1RotateApiKey200JSONResponse {
	return oapi.V1RotateApiKey200JSONResponse{
		ApiKey: r.Text, Key: apiKeyToAPI(r.Key, now), ReplacedKeyId: r.Old.ID, ReplacedKeyExpiresAt: r.Old.ExpiresAt.UTC(),
	}
}

func apiKeyToAPI(k domain.APIKey, now time.Time) oapi.ApiKey {
	return oapi.ApiKey{
		Id: k.ID, Name: k.Name, Prefix: k.Prefix, Scopes: append([]string{}, k.Scopes...), Tools: k.Tools, IsActive: k.UsableAt(now),
		CreatedAt: k.CreatedAt.UTC(), ExpiresAt: timeToAPI(k.ExpiresAt), LastUsedAt: timeToAPI(k.LastUsedAt),
	}
}

// timeToAPI shows a time that may not be there.
func timeToAPI(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
