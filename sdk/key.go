package tillbook

import (
	"crypto/rand"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// NewIdempotencyKey returns a random key of 128 bits. The client makes one up
// for every request that moves money and has none; make it yourself to write it
// down before you send, so that even a crash in between can't pay twice.
func NewIdempotencyKey() string { return rand.Text() }

func keyField(message protoreflect.MessageDescriptor) protoreflect.FieldDescriptor {
	return message.Fields().ByName("idempotency_key")
}

// itemsField finds the field of a request whose items have keys of their own.
func itemsField(message protoreflect.MessageDescriptor) protoreflect.FieldDescriptor {
	items := message.Fields().ByName("items")
	if items == nil || !items.IsList() || items.Message() == nil || keyField(items.Message()) == nil {
		return nil
	}
	return items
}

// withKeys returns a request with an idempotency key, or with one for each of its
// items. A message without one is copied and given one: the caller's own stays
// as it is, since sending it again is meant as another payment.
func withKeys(message proto.Message) (keyed proto.Message, key string) {
	descriptor := message.ProtoReflect().Descriptor()
	if field := keyField(descriptor); field != nil {
		if key = message.ProtoReflect().Get(field).String(); key == "" {
			key = NewIdempotencyKey()
			message = proto.Clone(message)
			message.ProtoReflect().Set(field, protoreflect.ValueOfString(key))
		}
		return message, key
	}
	field := itemsField(descriptor)
	keyed = message
	for i := range message.ProtoReflect().Get(field).List().Len() {
		item := keyed.ProtoReflect().Get(field).List().Get(i).Message()
		if item.Get(keyField(item.Descriptor())).String() != "" {
			continue
		}
		if keyed == message {
			keyed = proto.Clone(message)
			item = keyed.ProtoReflect().Get(field).List().Get(i).Message()
		}
		item.Set(keyField(item.Descriptor()), protoreflect.ValueOfString(NewIdempotencyKey()))
	}
	return keyed, ""
}
