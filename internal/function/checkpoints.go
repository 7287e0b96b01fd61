package function

// TopicCheckpoints holds what nodes sign of the log; the key of a record is the name of the key that signed. It is made by the first node that is told to.
const TopicCheckpoints = "_dalamb.checkpoints"
