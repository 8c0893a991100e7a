module klamm/compat/kafka-go

go 1.25.0

require (
	github.com/segmentio/kafka-go v0.4.51
	klamm/compat/lines v0.0.0
)

require (
	github.com/klauspost/compress v1.15.9 // indirect
	// kafka-go asks for 4.1.15 or later; that one takes frames with block checksums (aiokafka's) for broken.
	github.com/pierrec/lz4/v4 v4.1.33 // indirect
)

replace klamm/compat/lines => ../shared/go
