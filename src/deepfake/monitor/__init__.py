"""What a service has scored, against what the model was tested on."""
