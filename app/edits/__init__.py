"""What a person does, beside what Crisp and files say: merge, edit, hide, own, link, tie.

The fourth way in, for pages and API alike. Every function takes the open transaction, the website's
id and the `Actor` who does it, asks for the role member, takes the website's lock, has the modules
below write the rows, links again what that touches, and notes it in the audit log. It raises Refused,
NotFound or Conflict with one sentence, and then nothing is written. Ids of another website are not found.

    merges.py    merge_contacts, merge_companies, unmerge
    hiding.py    hide (deletes, one or many), show (restores)
    links.py     decide_link (pin or deny), take_link_back
    wishes.py, effects.py, remedies.py, leaving.py, remedies_undo.py
                 look, remedy, take_remedy_back: for groups of conversations without a contact
    ties.py      tie_domain, tie_new_company, ignore_domain, release_domain
"""
