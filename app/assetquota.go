package app

import (
	"context"
	"fmt"

	"gaia/domain"
	"gaia/ports"
)

// assetQuota is how many bytes the assets of one owner may have; 0: as many as there is room for. What is on its way is counted when it is
// there, so that uploads that end at the same moment can exceed it a little.
type assetQuota struct {
	store ports.AssetStore
	bytes int64
}

// left is how many bytes a caller may still add. limited is false for the global key, and where there is no quota.
func (q assetQuota) left(ctx context.Context, who domain.Principal) (left int64, limited bool, err error) {
	if q.bytes <= 0 || who.IsService() {
		return 0, false, nil
	}
	used, err := q.store.Bytes(ctx, who.OwnerID())
	return max(q.bytes-used, 0), true, err
}

// full says that there is no room for more.
func (q assetQuota) full(kind domain.Kind) *domain.Error {
	return &domain.Error{Kind: kind, Code: domain.CodeQuota, Message: fmt.Sprintf(
		"The assets of one caller can have %d bytes, and yours have no room for more: delete some of them first", q.bytes)}
}
