// The fields that a proxy must understand, found in one walk: most heads carry one or two of them.
// What requests and responses have in common here; used by request_meaning and response_meaning
// only. Pure; allocates nothing. All in the header: it is needed for every head.
#pragma once

#include <cstdint>

#include "worker/http/connection_options.h"
#include "worker/http/message_head.h"

namespace ringmaster {

// How often a field occurs, and where first.
struct Sightings {
  const Field* first = nullptr;
  std::uint32_t count = 0;

  void add(const Field& field) noexcept {
    if (count++ == 0) first = &field;
  }
};

struct KnownFields {
  Sightings connection, content_length, expect, host, max_forwards, transfer_encoding, upgrade, via;
};

inline KnownFields find_known_fields(const MessageHead& head) noexcept {
  KnownFields known;
  for (std::uint32_t i = 0; i < head.field_count; ++i) {
    const Field& field = head.fields[i];
    switch (field.id) {
      case FieldId::kConnection:
        known.connection.add(field);
        break;
      case FieldId::kContentLength:
        known.content_length.add(field);
        break;
      case FieldId::kExpect:
        known.expect.add(field);
        break;
      case FieldId::kHost:
        known.host.add(field);
        break;
      case FieldId::kMaxForwards:
        known.max_forwards.add(field);
        break;
      case FieldId::kTransferEncoding:
        known.transfer_encoding.add(field);
        break;
      case FieldId::kUpgrade:
        known.upgrade.add(field);
        break;
      case FieldId::kVia:
        known.via.add(field);
        break;
      default:
        break;
    }
  }
  return known;
}

// A head is filled in again for the next message.
inline void reset_meaning(MessageHead& head) noexcept {
  head.framing = BodyFraming::kNone;
  head.content_length = 0;
  head.wants_upgrade = false;
}

// RFC 9112 section 9.3.
inline bool lets_connection_live(HttpVersion version, const ConnectionOptions& options) noexcept {
  return !options.close && (version == HttpVersion::k11 || options.keep_alive);
}

// RFC 9110 section 7.8.
inline bool wants_upgrade(const MessageHead& head, const ConnectionOptions& options,
                          const KnownFields& known) noexcept {
  return options.upgrade && known.upgrade.count != 0 && head.version == HttpVersion::k11 &&
         offers_upgrade(head);
}

}  // namespace ringmaster
