package fleet

// Queued counts the calls that wait for an instance, by function; those without any are left out.
func (f *Fleet) Queued() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	var waiting map[string]int
	for _, p := range f.pools {
		if len(p.queue) == 0 {
			continue
		}
		if waiting == nil {
			waiting = map[string]int{}
		}
		waiting[p.version.Function()] += len(p.queue)
	}
	return waiting
}
