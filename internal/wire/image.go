package wire

// ImageList is the answer to GET /v1/images.
type ImageList struct {
	Images   []Image `json:"images"`
	Layers   int     `json:"layers"`   // unpacked, each once however many images have it
	Unpacked int64   `json:"unpacked"` // bytes of those
	Content  int64   `json:"content"`  // bytes that are kept as they were sent
}

// Image is a container image that a version names, or that was pushed to the node's own registry.
type Image struct {
	Digest     string      `json:"digest"`              // of its manifest, or of its index
	Platforms  []string    `json:"platforms,omitempty"` // digests of what an index in the registry names
	References []string    `json:"references"`          // what it is called: in the registry, and by versions
	Registry   bool        `json:"registry"`            // the node's own registry has it
	Bytes      int64       `json:"bytes"`               // as it is sent
	Unpacked   int64       `json:"unpacked"`            // of its layers that are unpacked here
	Functions  []ImageUser `json:"functions,omitempty"`
	Error      string      `json:"error,omitempty"` // why this node cannot run it
}

// ImageUser is a function with versions that run in an image.
type ImageUser struct {
	Function string `json:"function"`
	Versions []int  `json:"versions"` // rising
}

// ImagePullList is the answer to GET /v1/images/pulls.
type ImagePullList struct {
	Pulls []ImagePull `json:"pulls"`
}

// ImagePull is an image on its way to the node.
type ImagePull struct {
	Reference string `json:"reference"`
	Layers    int    `json:"layers"` // that the node did not have
	Done      int    `json:"done"`   // of these layers, that it has now
	Bytes     int64  `json:"bytes"`  // of these layers, as they are sent
	Came      int64  `json:"came"`   // of these bytes
}
