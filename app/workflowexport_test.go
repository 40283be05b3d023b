package app

import "context"

// WorkOn works on one workflow, as Run would.
func (w *Workflows) WorkOn(soft, hard context.Context, id string) (done bool) {
	return w.work(soft, hard, id)
}
