package wire

// RepositoryList is the answer to GET /v1/repositories.
type RepositoryList struct {
	Repositories []Repository `json:"repositories"`
}

// Repository is one that was pushed to the node.
type Repository struct {
	Name     string   `json:"name"`
	Branches []string `json:"branches"` // sorted
	Bytes    int64    `json:"bytes"`    // on the node's disk
}
