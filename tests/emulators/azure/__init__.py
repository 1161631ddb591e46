"""Azure virtual machines and prices over TLS, held to the models of Azure's own client."""
