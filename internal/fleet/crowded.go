package fleet

// kept is the part of a node's places that copies of calls leave to the calls themselves: one of so many.
const kept = 10

// Crowded says that calls wait for places, or that few are left: then nothing is to be run that can be left out.
func (f *Fleet) Crowded() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.starved || f.draining || f.total >= f.o.MaxInstances-f.o.MaxInstances/kept
}
