package httpapi

import (
	"context"

	"gaia/adapters/httpapi/internal/oapi"
	"gaia/app"
)

// V02GetStreamStatus says what the typed stream can do for the caller.
func (s *server) V02GetStreamStatus(ctx context.Context, _ oapi.V02GetStreamStatusRequestObject) (oapi.V02GetStreamStatusResponseObject, error) {
	who := principalFrom(ctx)
	n, err := s.chat.Status(ctx, who)
	if err != nil {
		return nil, err
	}
	kept := streamCacheToAPI(s.personas.StreamCache(who))
	return oapi.V02GetStreamStatus200JSONResponse{
		Status: oapi.StreamStatusStatusReady, PerformanceMode: oapi.Optimized, MessageCount: n, HasHistory: n > 0,
		CacheStatus:  oapi.StreamStatusCache(kept),
		Capabilities: oapi.StreamCapabilities{SseStreaming: true, ModelSelection: true, CacheOptimization: true, ParallelFetching: true},
		Timestamp:    timestamp(s.now()),
	}, nil
}

// V02GetStreamCacheStatus says what is kept for streaming chats.
func (s *server) V02GetStreamCacheStatus(ctx context.Context, _ oapi.V02GetStreamCacheStatusRequestObject) (oapi.V02GetStreamCacheStatusResponseObject, error) {
	return oapi.V02GetStreamCacheStatus200JSONResponse{
		CacheStats: streamCacheToAPI(s.personas.StreamCache(principalFrom(ctx))), Timestamp: timestamp(s.now()),
	}, nil
}

// V02InvalidateStreamCache makes streaming chats read anew.
func (s *server) V02InvalidateStreamCache(ctx context.Context, r oapi.V02InvalidateStreamCacheRequestObject) (oapi.V02InvalidateStreamCacheResponseObject, error) {
	kind := r.Params.CacheType
	user := nilIfEmpty(deref(r.Params.UserId))
	err := s.personas.DropStreamCache(ctx, principalFrom(ctx), app.StreamCacheDrop{
		Personas: kind != oapi.StreamCacheTypeTools, Owner: deref(user),
	})
	if err != nil {
		return nil, err
	}
	return oapi.V02InvalidateStreamCache200JSONResponse{
		Status: oapi.StreamCacheInvalidationStatusSuccess, CacheType: kind, InvalidatedUser: user,
		InvalidatedActivity: nilIfEmpty(deref(r.Params.Activity)), Timestamp: timestamp(s.now()),
	}, nil
}

func streamCacheToAPI(kept app.StreamCache) oapi.StreamCacheStats {
	keys := kept.PersonaKeys
	if keys == nil {
		keys = []string{}
	}
	return oapi.StreamCacheStats{PersonaCacheEntries: kept.Personas, PersonaCacheKeys: keys, ToolsCacheKeys: []string{}}
}
