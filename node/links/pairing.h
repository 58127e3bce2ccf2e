/* pairing.h - the part of the node that pairs: answers the requests pair and pair_answer of the `wasmos`
 * command, and takes connections of guests from the link (pairing_take() in link_impl.h). The protocol is
 * proto/pairing.h; what comes out are rows of link.h's peers. The loop's thread.
 *
 *	pair {}                    -> row {event "code", words, address, valid_s}, then as below
 *	pair {words, address?}     -> row {event "ask", question, name, id, address, check}, row {event "paired", ...}
 *	pair {qr}                  -> the same; qr is the text of the picture that the other shows (proto/pairing_qr.h)
 *	pair_answer {question, yes}
 */
#pragma once

struct conn;
struct pairings;
