package function

import (
	"encoding/json"
	"maps"
)

// Schema is a JSON Schema (draft 2020-12) of one document of dalamb.yaml, for editors. It is made from the decoder's own tables.
func Schema() []byte {
	schema := map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://github.com/dalamb/dalamb/dalamb.yaml.schema.json", "title": "dalamb.yaml",
	}
	maps.Copy(schema, functionValue().schema)
	b, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		panic(err) // the tables hold maps, lists and text only
	}
	return append(b, '\n')
}
